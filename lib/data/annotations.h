#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/io/faults.h"
#include "lib/io/segmentation.h"
#include "lib/mask/rle.h"

namespace iuq::data {

struct Category {
  int64_t id = 0;
  std::string name;
  std::string frequency;     // LVIS: "r", "c" or "f"; else empty
  int64_t image_count = -1;  // LVIS: training images that have it; -1 when not stated
};

struct Image {
  int64_t id = 0;         // where it is a string: io::string_id() of `name`
  std::string name;       // the id if it is a string, else ""
  std::string file_name;  // as written; LVIS files that have only "coco_url" get its last two parts
  int64_t height = 0, width = 0;  // 0 x 0: neither the annotations nor the image file say; see ReadOptions::images
  int64_t first = 0, count = 0;                     // its annotations: [first, first + count)
  std::vector<int64_t> negative, not_exhaustive;    // LVIS, category indices, ascending

  bool has_size() const { return height > 0 && width > 0; }
  std::string id_text() const { return name.empty() ? std::to_string(id) : name; }
};

struct Annotation {
  int64_t id = 0;
  int64_t image_id = 0;
  int64_t category = 0;           // 0..C-1: rank of the category's id
  bool crowd = false;
  double area = 0;                // square pixels, as stated in the file
  std::array<double, 4> box{};    // x, y, width, height in pixels, as stated in the file
};

/// A record that makes a file unusable, and that reading went on without.
struct Refusal {
  std::string section;
  int64_t record = 0;  // index in its list
  std::string what;    // in words that follow "annotations[3]": `.bbox is "big", must be ... (id 7)`
};

struct ReadOptions {
  int threads = 0;                // 0: as many as this process may use
  bool strict = false;            // faults are errors, all listed
  /// Folder of the images, where names with backslashes are looked up and sizes are read that the file does not have. An image
  /// whose file does not tell its size either is 0 x 0, its annotations unchecked: usable_images() finds it and leaves it out.
  std::string images = {};
  bool needs_annotations = true;  // a file of images alone is an error
  bool is_told = false;           // that something is left out or mended was reported when the file was read before
  bool tolerant = false;          // to find all that is wrong: records that are errors are left out, and nothing is reported
};

/// A COCO or LVIS annotation file, checked as a whole when loaded and held in less memory than its text.
class Dataset {
 public:
  /// Reads and checks the file. A missing "area" or "bbox" is computed from the mask, a missing "iscrowd" is 0. What does
  /// not make the file useless (io::Fault: an annotation without a mask, of an unknown image, ...) is left out or mended
  /// and reported in one warning.
  /// Errors: kNoInput, kIo, kBadData naming file, section, record, id, key and value for anything else that is not as the
  /// format says (io/annotation_rules.h): a wrong type, a bad segmentation, an image's id twice. Neither the data set nor the
  /// error depends on the number of threads.
  static Dataset load(const std::string& path, const ReadOptions& options);
  static Dataset load(const std::string& path, int threads = 0) { return load(path, ReadOptions{.threads = threads}); }

  const std::string& path() const { return path_; }
  const std::vector<Category>& categories() const { return categories_; }    // ascending id
  const std::vector<Image>& images() const { return images_; }               // file order
  const std::vector<Annotation>& annotations() const { return annotations_; }  // by image, then file order
  std::span<const Annotation> annotations_of(const Image& image) const;
  /// Whether the file has LVIS's federated fields, which evaluation has to honour.
  bool is_lvis() const { return is_lvis_; }
  /// What was left out and mended.
  const io::FaultTally& faults() const { return faults_; }
  /// With `tolerant`: the records that are errors, in the order of images, annotations, categories and of the file. An error of the
  /// file as a whole is thrown all the same.
  const std::vector<Refusal>& refusals() const { return refusals_; }
  /// With `tolerant`: the index in the file of each of annotations().
  const std::vector<int64_t>& records() const { return records_; }

  int64_t image_index(int64_t image_id) const;        // -1 when there is none
  int64_t category_index(int64_t category_id) const;  // -1 when there is none
  /// Mask of annotations()[index] in its image's frame, rasterised as pycocotools does.
  mask::Rle mask(int64_t index) const;
  /// Its segmentation as the file has it, without parts that were left out.
  void segmentation(int64_t index, io::Segmentation& out) const { io::unpack(segments_[static_cast<size_t>(index)], out); }
  /// Its polygons (x, y, x, y, ... in pixels), or nothing when it is RLE.
  std::optional<std::vector<std::vector<double>>> polygons(int64_t index) const;
  /// Bytes held in memory, names aside.
  int64_t bytes() const;

 private:
  friend class DatasetLoader;

  std::string path_;
  std::vector<Category> categories_;
  std::vector<Image> images_;
  std::vector<Annotation> annotations_;
  std::vector<const uint8_t*> segments_;  // of annotations_, packed in store_
  std::vector<std::pair<int64_t, int64_t>> image_of_id_;  // (id, index), ascending
  io::SegmentationStore store_;
  io::FaultTally faults_;
  std::vector<Refusal> refusals_;
  std::vector<int64_t> records_;
  bool is_lvis_ = false;
};

}  // namespace iuq::data
