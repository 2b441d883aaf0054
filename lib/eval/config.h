#pragma once

#include <array>
#include <string>
#include <vector>

namespace iuq::eval {

enum class Protocol { kCoco, kLvis };
enum class IouType { kSegm, kBbox };

inline constexpr int kThresholds = 10;  // T: IoU .50 .55 ... .95
inline constexpr int kRecalls = 101;    // R: recall 0 .01 ... 1
inline constexpr int kAreas = 4;        // A: all, small, medium, large

struct AreaRange {
  const char* name;
  double low, high;  // pixels, both bounds belong to the range
};
inline constexpr std::array<AreaRange, kAreas> kAreaRanges = {{{"all", 0, 1e10},
                                                               {"small", 0, 32 * 32},
                                                               {"medium", 32 * 32, 96 * 96},
                                                               {"large", 96 * 96, 1e10}}};

/// What is asked of an evaluation. Everything but `threads` changes the numbers.
struct EvalConfig {
  Protocol protocol = Protocol::kCoco;
  std::vector<IouType> iou_types = {IouType::kSegm};  // one or both, each once
  std::vector<int> max_dets = {1, 10, 100};  // COCO: three cuts per image and category, ascending. LVIS: {300} an image
  bool use_categories = true;  // false pools all categories (COCO only)
  int threads = 1;             // results do not depend on it

  bool wants(IouType type) const;
  void check() const;  // Error(kUsage)
};

const char* name_of(IouType type);
const char* name_of(Protocol protocol);
Protocol parse_protocol(const std::string& text);               // "coco" or "lvis"; Error(kUsage)
std::vector<IouType> parse_iou_types(const std::string& text);  // "segm", "bbox" or "both"; Error(kUsage)

/// The thresholds as numpy's linspace rounds them, which is not i * .05 + .5 nor i / 100.
const std::array<double, kThresholds>& iou_thresholds();
const std::array<double, kRecalls>& recall_thresholds();

}  // namespace iuq::eval
