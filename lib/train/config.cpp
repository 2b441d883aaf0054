#include "lib/train/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::train {

ConfigFields TrainConfig::fields() {
  return {
      {"steps", &steps, "optimiser steps", Range::at_least(1)},
      {"batch", &batch, "images per step; with pairs, both views count", Range::at_least(1)},
      {"pairs", &pairs, "the batch is batch/2 images and their transformed versions"},
      {"augment", &augment, "without pairs: probability that an image is replaced by a drawn view of itself",
       Range::closed(0, 1)},
      {"optimizer", &optimizer, "which optimiser; \"sgd\" is with momentum", Range::one_of({"sgd", "adamw"})},
      {"lr", &lr, "learning rate after warm-up", Range::above(0)},
      {"backbone_lr_factor", &backbone_lr_factor, "factor on lr for the backbone", Range::at_least(0)},
      {"momentum", &momentum, "momentum of sgd", Range::right_open(0, 1)},
      {"weight_decay", &weight_decay, "weight decay of all parameters but those of norm_weight_decay", Range::at_least(0)},
      {"norm_weight_decay", &norm_weight_decay, "weight decay of norm layers, embeddings and position tables", Range::at_least(0)},
      {"schedule", &schedule, "course of lr: \"step\" follows milestones, \"cosine\" falls to 0",
       Range::one_of({"step", "cosine", "constant"})},
      {"milestones", &milestones, "steps; with schedule \"step\" lr is multiplied by 0.1 from each on"},
      {"warmup", &warmup, "steps of linear warm-up", Range::at_least(0)},
      {"warmup_factor", &warmup_factor, "share of lr at which the warm-up starts", Range::closed(0, 1)},
      {"clip_norm", &clip_norm, "largest L2 norm of all gradients together; 0: off", Range::at_least(0)},
      {"min_pixels", &min_pixels, "instances with fewer pixels left in a view are dropped", Range::at_least(1)},
      {"drop_empty", &drop_empty, "images without instances do not train"},
      {"images", &images, "train on so many of the images, those of fewer being among those of more; 0: all",
       Range::at_least(0)},
      {"repeat_threshold", &repeat_threshold, "threshold of LVIS's repeat factor sampling, 0.001 there; 0: off", Range::at_least(0)},
      {"log_every", &log_every, "steps between lines of metrics.jsonl", Range::at_least(1)},
      {"checkpoint_every", &checkpoint_every, "steps between checkpoints", Range::at_least(1)},
      {"keep_checkpoints", &keep_checkpoints, "so many of the newest checkpoints stay", Range::at_least(1)},
      {"skip_weights", &skip_weights, "prefixes of the names of parameters that --weights must not fill"},
  };
}

void TrainConfig::check() const {
  check_ranges(*this);
  check_config(!pairs || batch % 2 == 0, "train.batch", batch, "an even number >= 2");
}

double TrainConfig::lr_at(int64_t step) const {
  double factor = 1;
  if (schedule == "cosine") {
    factor = 0.5 * (1 + std::cos(3.14159265358979 * static_cast<double>(step) / static_cast<double>(steps)));
  } else if (schedule == "step") {
    for (const int64_t milestone : milestones) factor *= step >= milestone ? 0.1 : 1;
  }
  if (step < warmup) {
    const double share = static_cast<double>(step) / static_cast<double>(warmup);
    factor *= warmup_factor * (1 - share) + share;
  }
  return lr * factor;
}

}  // namespace iuq::train
