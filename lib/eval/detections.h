#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/eval/config.h"
#include "lib/eval/ground_truth.h"
#include "lib/io/record_pieces.h"
#include "lib/mask/rle.h"

namespace iuq::eval {

/// Text kept for the life of an evaluation, in big blocks: half a million small strings would cost more than their text.
class TextStore {
 public:
  std::string_view add(std::string_view text);
  /// Takes over what `other` keeps.
  void join(TextStore&& other);

 private:
  static constexpr size_t kBlock = size_t{1} << 20;
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t left_ = 0;
  char* next_ = nullptr;
};

struct Detection {
  uint32_t image = 0, category = 0;  // indices into the ground truth
  double score = 0;
  double area = 0;                 // of the box or of the mask: see load_detections
  mask::Box box{};                 // when boxes are evaluated
  std::string_view counts;         // compressed, when masks are evaluated; decoded only where boxes overlap
  uint32_t height = 0, width = 0;  // of the mask
  std::array<uint32_t, 2> columns{};  // of the mask: x and w of its box
};

struct Detections {
  std::vector<Detection> records;  // those that count: file order (COCO), image by image after the cut (LVIS)
  TextStore text;
};

/// Reads a results list ("-" is stdin, gzip is unpacked). As in the reference the first record decides for all: if it has a
/// non-empty `bbox`, each record needs one, its area is width * height, and a missing segmentation is the box; else each
/// needs a compressed RLE, and its area is that of the mask. Records of categories that are not listed do not count; one
/// of an image that is not listed is an error. LVIS keeps the config.max_dets[0] best of an image over all categories.
///
/// Begins at once, on config.threads - 1 threads, while the caller still reads the annotations; what it returns does not
/// depend on the number of threads.
class DetectionLoader {
 public:
  /// `block`: bytes read at a time; what is returned does not depend on it either.
  DetectionLoader(const std::string& path, const EvalConfig& config, size_t block = io::RecordPieces::kBlock);
  ~DetectionLoader();
  /// The rest, with the caller's help. Errors: kNoInput, kIo, kBadData naming file, index and key.
  Detections finish(const GroundTruth& truth);

 private:
  class Reader;
  std::unique_ptr<Reader> reader_;
};

Detections load_detections(const std::string& path, const GroundTruth& truth, const EvalConfig& config);

}  // namespace iuq::eval
