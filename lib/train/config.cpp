#include "lib/train/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::train {

void TrainConfig::check() const {
  check_config(steps >= 1, "train.steps", steps, ">= 1");
  check_config(batch >= 1 && (!pairs || batch % 2 == 0), "train.batch", batch, pairs ? "an even number >= 2" : ">= 1");
  check_config(augment >= 0 && augment <= 1, "train.augment", augment, "in [0, 1]");
  check_config(optimizer == "sgd" || optimizer == "adamw", "train.optimizer", optimizer, "\"sgd\" or \"adamw\"");
  check_config(lr > 0, "train.lr", lr, "> 0");
  check_config(backbone_lr >= 0, "train.backbone_lr", backbone_lr, ">= 0");
  check_config(momentum >= 0 && momentum < 1, "train.momentum", momentum, "in [0, 1)");
  check_config(weight_decay >= 0, "train.weight_decay", weight_decay, ">= 0");
  check_config(norm_weight_decay >= 0, "train.norm_weight_decay", norm_weight_decay, ">= 0");
  check_config(schedule == "step" || schedule == "cosine" || schedule == "constant", "train.schedule", schedule,
               "\"step\", \"cosine\" or \"constant\"");
  check_config(warmup >= 0, "train.warmup", warmup, ">= 0");
  check_config(warmup_factor >= 0 && warmup_factor <= 1, "train.warmup_factor", warmup_factor, "in [0, 1]");
  check_config(clip_norm >= 0, "train.clip_norm", clip_norm, ">= 0");
  check_config(min_pixels >= 1, "train.min_pixels", min_pixels, ">= 1");
  check_config(repeat_threshold >= 0, "train.repeat_threshold", repeat_threshold, ">= 0");
  check_config(log_every >= 1, "train.log_every", log_every, ">= 1");
  check_config(checkpoint_every >= 1, "train.checkpoint_every", checkpoint_every, ">= 1");
  check_config(keep_checkpoints >= 1, "train.keep_checkpoints", keep_checkpoints, ">= 1");
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

void from_json(const nlohmann::json& j, TrainConfig& c) {
  ConfigReader read(j, "train");
  read("steps", c.steps);
  read("batch", c.batch);
  read("pairs", c.pairs);
  read("augment", c.augment);
  read("optimizer", c.optimizer);
  read("lr", c.lr);
  read("backbone_lr", c.backbone_lr);
  read("momentum", c.momentum);
  read("weight_decay", c.weight_decay);
  read("norm_weight_decay", c.norm_weight_decay);
  read("schedule", c.schedule);
  read("milestones", c.milestones);
  read("warmup", c.warmup);
  read("warmup_factor", c.warmup_factor);
  read("clip_norm", c.clip_norm);
  read("min_pixels", c.min_pixels);
  read("drop_empty", c.drop_empty);
  read("repeat_threshold", c.repeat_threshold);
  read("log_every", c.log_every);
  read("checkpoint_every", c.checkpoint_every);
  read("keep_checkpoints", c.keep_checkpoints);
  read("skip_weights", c.skip_weights);
  read.done();
  c.check();
}

void to_json(nlohmann::json& j, const TrainConfig& c) {
  j = {{"steps", c.steps},
       {"batch", c.batch},
       {"pairs", c.pairs},
       {"augment", c.augment},
       {"optimizer", c.optimizer},
       {"lr", c.lr},
       {"backbone_lr", c.backbone_lr},
       {"momentum", c.momentum},
       {"weight_decay", c.weight_decay},
       {"norm_weight_decay", c.norm_weight_decay},
       {"schedule", c.schedule},
       {"milestones", c.milestones},
       {"warmup", c.warmup},
       {"warmup_factor", c.warmup_factor},
       {"clip_norm", c.clip_norm},
       {"min_pixels", c.min_pixels},
       {"drop_empty", c.drop_empty},
       {"repeat_threshold", c.repeat_threshold},
       {"log_every", c.log_every},
       {"checkpoint_every", c.checkpoint_every},
       {"keep_checkpoints", c.keep_checkpoints},
       {"skip_weights", c.skip_weights}};
}

}  // namespace iuq::train
