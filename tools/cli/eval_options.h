#pragma once

#include <string>
#include <vector>

#include "lib/eval/config.h"
#include "tools/cli/tool.h"

namespace iuq::cli {

/// The flags of iuq-eval.
struct EvalOptions {
  std::string annotations, predictions, output, curves, compare, images;
  std::string iou = "segm", style = "auto";
  std::vector<int> max_dets;
  std::vector<double> iou_thresholds, area_sides;
  std::vector<std::string> categories;
  std::vector<int64_t> image_ids;
  bool pool = false, per_category = false, csv = false, force = false, errors = false;
  double min_ap = -1, boundary_ratio = 0.02, confusion = -1;
  int resamples = 1000;
  int64_t seed = 0;

  void add_to(Tool& tool);
  /// Error(kUsage) for what does not fit together.
  eval::EvalConfig config(const Tool& tool) const;
};

}  // namespace iuq::cli
