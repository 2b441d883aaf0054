#include "lib/eval/evaluate.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace iuq::eval {
namespace {

// A cut below the number of objects hides some of them for good: no result can find them.
void warn_of_cut(const std::string& path, const GroundTruth& truth, const ImageCategories& pairs, const EvalConfig& config) {
  const bool lvis = config.protocol == Protocol::kLvis;  // there it is of an image, over all categories
  std::vector<int64_t> of_image(truth.images.size(), 0);
  int64_t hidden = 0, counted = 0, most = 0;
  const auto add = [&](int64_t objects) {
    hidden += std::max<int64_t>(0, objects - config.max_dets.back());
    most = std::max(most, objects);
  };
  for (const ImageCategory& pair : pairs.list) {
    int64_t objects = 0;
    for (uint32_t g = pair.gt_begin; g < pair.gt_end; ++g) objects += !truth.annotations[pairs.gt[g]].ignore;
    counted += objects;
    of_image[pair.image] += objects;
    if (!lvis) add(objects);
  }
  if (lvis) std::for_each(of_image.begin(), of_image.end(), add);
  if (hidden == 0) return;
  log::warning(cat("\"", path, "\": ", hidden, " of ", counted, " annotations are beyond the cut of ", config.max_dets.back(),
                   " detections per image", lvis ? "" : " and category", ", so no result can find them; --max-dets ",
                   lvis ? "" : "1,10,", most, " would count all"));
}

}  // namespace

std::vector<Summary> evaluate(const std::string& annotations, const std::string& predictions, const EvalConfig& config,
                              const EvalVisitor& visit) {
  config.check();
  if (annotations == "-" && predictions == "-") {
    throw Error(ErrorCode::kUsage, "annotations and predictions cannot both come from stdin");
  }
  // A file is read while the annotations are. A pipe may bring nothing for long, so broken annotations are reported before
  // anything waits for it.
  std::optional<DetectionLoader> loader;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(predictions, ignored)) loader.emplace(predictions, config);
  const GroundTruth truth = load_ground_truth(annotations, config);
  if (!loader) loader.emplace(predictions, config);
  const Detections detections = loader->finish(truth);
  ImageCategories pairs = group(truth, detections, config, config.iou_types[0]);
  warn_of_cut(annotations, truth, pairs, config);
  std::vector<Summary> out;
  for (const IouType type : config.iou_types) {
    if (truth.has_maskless && !out.empty()) pairs = group(truth, detections, config, type);
    const EvalInput input{truth, detections, pairs, config, type};
    const MatchTable table = match(input);
    const Curves curves = accumulate(input, table);
    if (visit) visit(input, table, curves);
    out.push_back(summarize(input, table, curves));
  }
  for (const std::string& area : out[0].empty_areas) {
    log::warning(cat("no annotation is ", area, "; its numbers are -1 (undefined), not 0"));
  }
  return out;
}

}  // namespace iuq::eval
