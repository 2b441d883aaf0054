#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/shard.h"

namespace iuq::infer {

/// Section "predict" of the config.
struct PredictConfig {
  int64_t max_detections = 100;  // per image; 300 for LVIS
  double score_threshold = 0;    // detections below are not written, in [0, 1)
  void check() const;
};
void from_json(const nlohmann::json& j, PredictConfig& config);
void to_json(nlohmann::json& j, const PredictConfig& config);

/// What to predict on. Image sizes and preprocessing come from the checkpoint; short_side > 0 overrides the size.
struct PredictJob {
  std::string annotations;            // COCO json; its "annotations" are not used
  std::string images;                 // folder; not needed with features
  std::vector<std::string> features;  // view 0 of iuq-cache, optional
  std::string model;                  // model.safetensors
  PredictConfig predict;
  int64_t short_side = 0;
  int64_t max_errors = 0;             // images that may fail before the run does
  Shard shard;
  c10::Device device = c10::kCPU;
};

struct PredictReport {
  int64_t images = 0;
  int64_t detections = 0;
  int64_t failed = 0;        // images skipped under max_errors
  double seconds = 0;        // of the images, without start-up
  bool up_to_date = false;
};

/// Runs the checkpoint over the images of this shard in file order and writes a COCO results list to `output` ("-":
/// stdout) with its provenance beside it. The category ids are those of the annotations, matched to the checkpoint's by
/// id and name. Errors: those of the inputs; kBadData when categories do not match; kInterrupted.
PredictReport predict(const PredictJob& job, const std::string& output, bool force, bool dry_run);

}  // namespace iuq::infer
