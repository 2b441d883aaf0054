#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/eval/iou_type.h"

namespace iuq::eval {

enum class Protocol { kCoco, kLvis };

inline constexpr int kMaxThresholds = 16;  // T, at most
inline constexpr int kRecalls = 101;    // R: recall 0 .01 ... 1
inline constexpr int kAreas = 4;        // A: all, small, medium, large

struct AreaRange {
  const char* name;
  double low, high;  // pixels, both bounds belong to the range
};
inline bool out_of_range(double area, const AreaRange& range) { return area < range.low || area > range.high; }
inline constexpr std::array<AreaRange, kAreas> kAreaRanges = {{{"all", 0, 1e10},
                                                               {"small", 0, 32 * 32},
                                                               {"medium", 32 * 32, 96 * 96},
                                                               {"large", 96 * 96, 1e10}}};

/// The ten of COCO, .50 .55 ... .95, and the 101 recalls, as numpy's linspace rounds them, which is not i * .05 + .5 nor
/// i / 100.
const std::vector<double>& iou_thresholds();
const std::array<double, kRecalls>& recall_thresholds();

/// What is asked of an evaluation. Everything but `threads` and `strict` changes the numbers.
struct EvalConfig {
  Protocol protocol = Protocol::kCoco;
  std::vector<IouType> iou_types = {IouType::kSegm};  // one or both, each once
  std::vector<int> max_dets = {1, 10, 100};  // COCO: three cuts per image and category, ascending. LVIS: {300} an image
  bool use_categories = true;  // false pools all categories (COCO only)
  std::vector<double> iou_thresholds = eval::iou_thresholds();  // ascending in (0, 1], at most kMaxThresholds
  std::array<AreaRange, kAreas> areas = kAreaRanges;
  std::vector<int64_t> image_ids;        // only these; none is all
  std::vector<std::string> categories;   // only these, by name or id; none is all
  double boundary_ratio = 0.02;  // width of a boundary over the image's diagonal (boundary IoU)
  int threads = 1;             // results do not depend on it
  bool strict = false;         // what is left out of or mended in the annotations, or can never match, is an error
  /// (height, width) of the image of this "file_name", for sizes that the annotations lack; null where no images are at hand.
  std::function<std::pair<int64_t, int64_t>(const std::string&)> image_size;

  bool wants(IouType type) const;
  bool wants_masks() const;
  bool wants_boxes() const;
  void check() const;  // Error(kUsage)
};

const char* name_of(Protocol protocol);
Protocol parse_protocol(const std::string& text);               // "coco" or "lvis"; Error(kUsage)
/// The sides of the squares that part small from medium and medium from large: 32 and 96 in COCO. Error(kUsage).
std::array<AreaRange, kAreas> parse_area_sides(const std::vector<double>& sides);

}  // namespace iuq::eval
