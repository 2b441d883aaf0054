#include "lib/eval/evaluate.h"

#include <filesystem>
#include <optional>
#include <system_error>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace iuq::eval {

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
  const ImageCategories pairs = group(truth, detections, config);
  std::vector<Summary> out;
  for (const IouType type : config.iou_types) {
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
