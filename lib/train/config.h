#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"

namespace iuq::train {

/// Section "train" of the config. fields() says what each field means.
struct TrainConfig {
  int64_t steps = 90000;
  int64_t batch = 16;
  bool pairs = false;
  double augment = 0;
  std::string optimizer = "sgd";
  double lr = 0.01;
  double backbone_lr_factor = 1;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double norm_weight_decay = 0;
  std::string schedule = "step";
  std::vector<int64_t> milestones = {60000, 80000};
  int64_t warmup = 1000;
  double warmup_factor = 0.01;
  double clip_norm = 0;
  int64_t min_pixels = 16;
  bool drop_empty = true;
  int64_t images = 0;
  double repeat_threshold = 0;
  int64_t log_every = 20;
  int64_t checkpoint_every = 1000;
  int64_t keep_checkpoints = 2;
  std::vector<std::string> skip_weights;

  /// Learning rate at a step (0-based).
  double lr_at(int64_t step) const;

  static constexpr const char* kSection = "train";
  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::train
