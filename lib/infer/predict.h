#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/base/shard.h"
#include "lib/view/input.h"

namespace iuq::infer {

/// Section "predict" of the config. fields() says what each field means.
struct PredictConfig {
  int64_t max_detections = 100;
  double score_threshold = 0;
  int64_t short_side = 0;
  int64_t long_side = 0;
  bool flip_test = false;
  double flip_iou = 0.6;

  static constexpr const char* kSection = "predict";
  ConfigFields fields();
  void check() const;
};

/// What to predict on. Preprocessing comes from the checkpoint.
struct PredictJob {
  std::string annotations;            // COCO json; its "annotations" are not used
  std::string images;                 // folder; not needed with features
  std::vector<std::string> features;  // view 0 of iuq-cache, with flip_test also view 1; optional
  std::string model;                  // model.safetensors, or converted weights with the next two
  nlohmann::json segmenter;           // section "model", for converted weights: the model that they belong to
  view::InputConfig input;            // image sizes for converted weights
  PredictConfig predict;
  bool strict = false;                // faults in the annotations are errors
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
/// stdout) with its provenance beside it. The category ids are the checkpoint's; the annotations may list some of
/// them, or others as well, with a warning. Errors: those of the inputs; kBadData when an id or a name belongs to different
/// categories of both; kInterrupted.
PredictReport predict(const PredictJob& job, const std::string& output, bool force, bool dry_run);

}  // namespace iuq::infer
