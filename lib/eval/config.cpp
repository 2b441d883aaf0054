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

void EvalConfig::check() const {
  if (iou_types.empty() || iou_types.size() > 2) fail("an evaluation needs one IoU type or both");
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
  if (threads < 1) fail(cat("threads is ", threads, ", not at least 1"));
}

const char* name_of(IouType type) { return type == IouType::kSegm ? "segm" : "bbox"; }
const char* name_of(Protocol protocol) { return protocol == Protocol::kCoco ? "coco" : "lvis"; }

Protocol parse_protocol(const std::string& text) {
  if (text == "coco") return Protocol::kCoco;
  if (text == "lvis") return Protocol::kLvis;
  fail(cat("protocol \"", text, "\" is not one of coco, lvis"));
}

std::vector<IouType> parse_iou_types(const std::string& text) {
  if (text == "segm") return {IouType::kSegm};
  if (text == "bbox") return {IouType::kBbox};
  if (text == "both") return {IouType::kSegm, IouType::kBbox};
  fail(cat("IoU type \"", text, "\" is not one of segm, bbox, both"));
}

const std::array<double, kThresholds>& iou_thresholds() {
  static const auto values = linspace<kThresholds>(.5, .95);
  return values;
}

const std::array<double, kRecalls>& recall_thresholds() {
  static const auto values = linspace<kRecalls>(0, 1);
  return values;
}

}  // namespace iuq::eval
