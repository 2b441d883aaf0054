#include "lib/eval/config.h"

#include <algorithm>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

template <size_t N>
std::array<double, N> linspace(double start, double stop) {
  const double step = (stop - start) / double(N - 1);
  std::array<double, N> values{};
  for (size_t i = 0; i < N; ++i) values[i] = double(i) * step + start;
  values[N - 1] = stop;
  return values;
}

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kUsage, message); }

}  // namespace

bool EvalConfig::wants(IouType type) const {
  return std::find(iou_types.begin(), iou_types.end(), type) != iou_types.end();
}

bool EvalConfig::wants_masks() const { return std::any_of(iou_types.begin(), iou_types.end(), is_of_masks); }

bool EvalConfig::wants_boxes() const { return !std::all_of(iou_types.begin(), iou_types.end(), is_of_masks); }

void EvalConfig::check() const {
  if (iou_types.empty()) fail("an evaluation needs an IoU type");
  const size_t cuts = protocol == Protocol::kCoco ? 3 : 1;
  if (max_dets.size() != cuts) {
    fail(cat("--max-dets has ", max_dets.size(), " values; the ", name_of(protocol), " protocol takes ", cuts));
  }
  for (size_t i = 0; i < max_dets.size(); ++i) {
    if (max_dets[i] < 1 || (i > 0 && max_dets[i] <= max_dets[i - 1])) {
      fail(cat("--max-dets must be ascending and at least 1, but value ", i + 1, " is ", max_dets[i]));
    }
  }
  if (protocol == Protocol::kLvis && !use_categories) fail("the lvis protocol cannot pool categories");
  if (iou_thresholds.empty() || iou_thresholds.size() > kMaxThresholds) {
    fail(cat("--iou-thresholds has ", iou_thresholds.size(), " values, not 1 to ", kMaxThresholds));
  }
  for (size_t i = 0; i < iou_thresholds.size(); ++i) {
    const double t = iou_thresholds[i];
    if (!(t > 0 && t <= 1) || (i > 0 && t <= iou_thresholds[i - 1])) {
      fail(cat("--iou-thresholds must be ascending in (0, 1], but value ", i + 1, " is ", t));
    }
  }
  if (!(boundary_ratio > 0 && boundary_ratio < 1)) fail(cat("--boundary-ratio is ", boundary_ratio, ", not between 0 and 1"));
  if (threads < 1) fail(cat("threads is ", threads, ", not at least 1"));
}

const char* name_of(Protocol protocol) { return protocol == Protocol::kCoco ? "coco" : "lvis"; }

Protocol parse_protocol(const std::string& text) {
  if (text == "coco") return Protocol::kCoco;
  if (text == "lvis") return Protocol::kLvis;
  fail(cat("style \"", text, "\" is not one of coco, lvis"));
}

std::array<AreaRange, kAreas> parse_area_sides(const std::vector<double>& sides) {
  if (sides.size() != 2 || !(sides[0] > 0 && sides[1] > sides[0] && sides[1] < 1e5)) {
    fail("--area-sides takes two ascending sides in pixels, such as 32,96");
  }
  std::array<AreaRange, kAreas> areas = kAreaRanges;
  areas[1].high = areas[2].low = sides[0] * sides[0];
  areas[2].high = areas[3].low = sides[1] * sides[1];
  return areas;
}

const std::vector<double>& iou_thresholds() {
  static const auto values = linspace<10>(.5, .95);
  static const std::vector<double> list(values.begin(), values.end());
  return list;
}

const std::array<double, kRecalls>& recall_thresholds() {
  static const auto values = linspace<kRecalls>(0, 1);
  return values;
}

}  // namespace iuq::eval
