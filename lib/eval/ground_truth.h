#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/eval/config.h"
#include "lib/io/faults.h"
#include "lib/io/record_pieces.h"
#include "lib/mask/rle.h"

namespace iuq::eval {

struct Image {
  int64_t id = 0;         // where it is a string: io::string_id() of `name`
  std::string name;       // the id if it is a string, else ""
  std::string file_name;  // only where the size is not stated, or is 0
  int64_t record = 0;     // its index in the file
  int64_t height = -1, width = -1;  // -1: the file does not say; 0 is taken at its word, as in the reference
  bool has_size() const { return height > 0 && width > 0; }
  std::vector<int64_t> negative;        // LVIS: categories known to be absent, ascending
  std::vector<int64_t> not_exhaustive;  // LVIS: categories not annotated in full, ascending
};

struct Category {
  int64_t id = 0;
  std::string name;
  char frequency = 0;  // LVIS: 'r', 'c' or 'f'
  int listed = 1;      // how often the file lists this id
};

struct Annotation {
  int64_t id = 0;
  uint32_t image = 0, category = 0;  // indices into images and categories
  double area = 0;                   // the field of the file, in pixels; never measured
  bool crowd = false;
  bool ignore = false;
  bool maskless = false;  // it does not count where masks are evaluated
  mask::Box box{};       // when boxes are evaluated
  mask::Rle mask;        // when masks are evaluated
  mask::Box mask_box{};  // of `mask`
  mask::Foreground foreground;  // likewise
};

/// The annotations file, as the protocol sees it.
struct GroundTruth {
  std::vector<Image> images;            // ascending id (first those that are numbers), each once
  std::vector<Category> categories;     // ascending id, each once
  std::vector<Annotation> annotations;  // what counts, in the order the reference visits it
  std::unordered_map<int64_t, uint32_t> image_of, category_of;  // id to index
  io::FaultTally faults;                // what was left out and mended
  bool has_maskless = false;            // an annotation that is `maskless`
};

/// Reads "images", "categories" and "annotations" of the file ("-" is stdin). Annotations of images or categories that
/// are not listed do not count; of annotations that share an id the last one holds, as in the reference. What the reference
/// would die of but its peers pass over (io::Fault: an annotation without iscrowd, area, box or mask) is left out or mended;
/// one warning tells of all of it, or with config.strict an error.
/// Neither what is returned nor which error is thrown depends on config.threads or `block`, the bytes read at a time.
/// Errors: kNoInput, kIo, kBadData naming file, section, index, key and id.
GroundTruth load_ground_truth(const std::string& path, const EvalConfig& config, size_t block = io::RecordPieces::kBlock);

}  // namespace iuq::eval
