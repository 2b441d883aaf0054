#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/signals.h"
#include "lib/train/config.h"
#include "lib/uniq/config.h"
#include "lib/view/input.h"
#include "lib/view/transform.h"

namespace iuq::train {

/// Everything a run depends on. With `features` the backbone is frozen and its maps come from the cache.
struct TrainJob {
  std::string annotations;                // COCO json
  std::string images;                     // folder; needed without features
  std::vector<std::string> features;      // files or folders of iuq-cache
  std::vector<std::string> negatives;     // of iuq-mine; optional
  std::string weights;                    // safetensors to start from; optional
  nlohmann::json model;                   // section "model"
  view::InputConfig input;
  view::ViewConfig view;
  TrainConfig train;
  uniq::UniqConfig uniq;
  uint64_t seed = 0;
  c10::Device device = c10::kCPU;
  int threads = 1;
  int64_t diagnose_every = 0;  // steps between two diagnoses, whose lines go to metrics.jsonl; 0: none. Changes no number
  bool accept_changes = false;            // go on with a run although annotations or images have changed since it began
  int64_t max_errors = 0;                 // images that may be left out as they cannot be read
  bool strict = false;                    // faults in the annotations are errors
  std::function<bool()> stop = stop_requested;  // asked after each step whether to stop there, to go on with `resume`
};

/// Trains one segmenter into the folder `output` (see RunFolder) and returns false when it was up to date.
/// The same job gives the same metrics and weights on the same machine and thread count, also when it was stopped and
/// resumed. Errors: those of the inputs; kConfig; kBadData "loss is not finite" naming step, images and terms, or naming
/// the weight that is not finite, or the checkpoint that cannot be resumed from; kInterrupted after a signal, with a
/// checkpoint of the last step. No checkpoint or result holds a value that is not finite.
bool train(const TrainJob& job, const std::string& output, bool resume, bool force, bool dry_run);

}  // namespace iuq::train
