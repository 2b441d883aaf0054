#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/train/config.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::train {

/// LibTorch's SGD or AdamW over the trainable parameters, in groups: backbone or rest, norm layers or not.
class Optimizer {
 public:
  Optimizer(const TrainConfig& config, const model::Segmenter& segmenter);
  ~Optimizer();

  void zero_grad();
  /// Clips if configured and steps with the learning rate of `step`. Returns the L2 norm of all gradients before
  /// clipping, [] float32 on the device.
  at::Tensor step(int64_t step);

  /// Momentum and moments by parameter name, for checkpoints; set_state is its inverse. Error(kBadData).
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_state(const std::vector<std::pair<std::string, at::Tensor>>& state);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace iuq::train
