#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/train/loss.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::train {

class Optimizer;

/// What one step leaves for the hooks of the loop. Tensors stay on the device, so that a step need not wait for it.
struct StepResult {
  std::vector<LossValue> losses;  // without their graph
  at::Tensor gradient_norm;       // [] float32, of all gradients together, before clipping
  std::vector<int64_t> image_ids;  // B, of the data set
};

/// One step of training: forward pass, loss terms, backward pass, update. A function of the parameters, the batch, the
/// number of the step and what the terms remember; so a resumed run takes the same steps.
class Step {
 public:
  /// All arguments must outlive this. Randomness: stream (seed, "step", step).
  Step(model::Segmenter& segmenter, Optimizer& optimizer, const std::vector<LossTerm>& terms, uint64_t seed);

  /// Everything up to the losses; `batch` must outlive the result. Draws what the segmenter draws at random.
  Forward forward(const Batch& batch, int64_t step);
  /// What looks at a step between its losses and its backward pass, whose graph it finds and must leave. It changes no
  /// parameter, no gradient and nothing that a later step draws from.
  using Look = std::function<void(const Forward&, const std::vector<LossValue>&)>;
  /// All of it: afterwards the parameters are those after the update. `look` may be empty.
  StepResult take(const Batch& batch, int64_t step, const Look& look = {});

 private:
  model::Segmenter& segmenter_;
  Optimizer& optimizer_;
  const std::vector<LossTerm>& terms_;
  uint64_t seed_;
};

}  // namespace iuq::train
