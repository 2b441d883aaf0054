#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace iuq::train {

/// Section "train" of the config.
struct TrainConfig {
  int64_t steps = 90000;            // optimiser steps
  int64_t batch = 16;               // images per step; with pairs, both views count
  bool pairs = false;               // the batch is batch/2 images and their transformed versions
  double augment = 0;               // without pairs: probability that an image is replaced by a drawn view of itself
  std::string optimizer = "sgd";    // "sgd" (momentum) or "adamw"
  double lr = 0.01;                 // after warm-up
  double backbone_lr = 1;           // factor on lr for the backbone
  double momentum = 0.9;            // sgd
  double weight_decay = 1e-4;
  double norm_weight_decay = 0;     // of norm layers, embeddings and position tables
  std::string schedule = "step";    // "step" (milestones), "cosine" (to 0) or "constant"
  std::vector<int64_t> milestones = {60000, 80000};  // "step": lr * 0.1 from each on
  int64_t warmup = 1000;            // steps of linear warm-up
  double warmup_factor = 0.01;      // lr starts at this share
  double clip_norm = 0;             // L2 norm of all gradients together; 0: off
  int64_t min_pixels = 16;          // instances with fewer pixels left in a view are dropped
  bool drop_empty = true;           // images without instances do not train
  double repeat_threshold = 0;      // LVIS repeat factor sampling, 0.001 there; 0: off
  int64_t log_every = 20;           // steps between lines of metrics.jsonl
  int64_t checkpoint_every = 1000;  // steps
  int64_t keep_checkpoints = 2;     // the newest so many stay
  std::vector<std::string> skip_weights;  // prefixes of parameters that --weights must not fill
  void check() const;
  /// Learning rate at a step (0-based).
  double lr_at(int64_t step) const;
};
void from_json(const nlohmann::json& j, TrainConfig& config);
void to_json(nlohmann::json& j, const TrainConfig& config);

}  // namespace iuq::train
