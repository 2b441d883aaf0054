#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace iuq::data {
class Dataset;
struct UsableImages;
}

namespace iuq::train {

struct TrainJob;

/// What of its data set a run learns from, and how much of it not, for whatever reason: counted once, before the first step.
struct LearntData {
  int64_t images = 0;             // to train on
  int64_t instances = 0;          // of these that can be learnt
  int64_t empty_images = 0;       // without instances: left out (train.drop_empty)
  int64_t unusable_images = 0;    // left out under --max-errors
  int64_t small_instances = 0;    // below train.min_pixels even at the largest size of the input, so no view can have them
  int64_t crowds = 0;             // are no instances
  nlohmann::json faults = nlohmann::json::object();  // of the annotations, left out or mended: records by kind, as FaultTally names it

  static LearntData of(const TrainJob& job, const data::Dataset& dataset, const data::UsableImages& usable);
  /// Says what the reading of the files has not said. Error(kBadData) when nothing is left to learn.
  void report(const TrainJob& job, const data::Dataset& dataset) const;
  /// All of the above by these names: the value of "data" in metrics.jsonl.
  nlohmann::json to_json() const;
};

}  // namespace iuq::train
