#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/train/config.h"

namespace torch::nn {
class Module;
}
namespace iuq::model {
class Segmenter;
}

namespace iuq::train {

/// Parameters that are optimised alike.
struct ParameterGroup {
  double lr_factor;     // on the learning rate
  double weight_decay;
  std::vector<std::pair<std::string, at::Tensor>> parameters;
};

/// The trainable parameters below `module`, each in one group: those whose name begins with `backbone_prefix` or the rest,
/// with weight decay or, for norm layers and what a module declares nn::Undecayed, with that of norms.
std::vector<ParameterGroup> parameter_groups(const TrainConfig& config, const torch::nn::Module& module,
                                             const std::string& backbone_prefix);

/// SGD with momentum or AdamW over parameter_groups: LibTorch's to within rounding, in one pass over a parameter's values.
class Optimizer {
 public:
  Optimizer(const TrainConfig& config, const model::Segmenter& segmenter);
  ~Optimizer();

  void zero_grad();
  /// Clips if configured and steps with the learning rate of `step`. Returns the L2 norm of all gradients before
  /// clipping, [] float32 on the device.
  at::Tensor step(int64_t step);

  /// Momentum and moments by parameter name, for checkpoints; a parameter that has had no gradient has none. set_state is
  /// the inverse: Error(kBadData) for a shape, a name or a half of a parameter's state that does not fit the model.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_state(const std::vector<std::pair<std::string, at::Tensor>>& state);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace iuq::train
