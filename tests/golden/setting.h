#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/data/annotations.h"
#include "lib/train/trainer.h"
#include "tests/support/temp_folder.h"

namespace iuq::test {

/// Everything a training of ten steps reads, made anew in a temporary folder: scenes of the built-in data set (one of them
/// without instances, one with a crowd), weights by formula, and for a cached source features and mined negatives.
/// The method is on: both terms with a ramp that ends within the ten steps, a memory that overflows, flips and crops.
class StepSetting {
 public:
  /// `model` a name of the registry; `source` "images" or "cached" (hard pixels and mined batches come with it).
  StepSetting(const std::string& source, const std::string& model);

  /// Trains into the folder `name` of this setting, or goes on there, and returns the lines of losses that metrics.jsonl then holds.
  std::vector<nlohmann::json> train(const std::string& name, bool resume = false) const;
  std::string operator/(const std::string& name) const { return folder_ / name; }

  train::TrainJob job;

 private:
  void write_scenes();
  void write_weights(const data::Dataset& dataset);
  void cache_and_mine(const data::Dataset& dataset);

  TempFolder folder_;
};

}  // namespace iuq::test
