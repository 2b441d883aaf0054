#include "lib/train/step.h"

#include <torch/types.h>

#include "lib/base/rng.h"
#include "lib/model/segmenter.h"
#include "lib/nn/stochastic.h"
#include "lib/train/optimizer.h"

namespace iuq::train {

Step::Step(model::Segmenter& segmenter, Optimizer& optimizer, const std::vector<LossTerm>& terms, uint64_t seed)
    : segmenter_(segmenter), optimizer_(optimizer), terms_(terms), seed_(seed) {}

Forward Step::forward(const Batch& batch, int64_t step) {
  // Whatever the step draws at random depends on nothing but its number, so that a resumed run draws the same.
  const uint64_t draw = Rng(seed_, "step", static_cast<uint64_t>(step)).next();
  nn::seed_modules_(segmenter_, draw);
  Forward out{step, batch, batch.features, {}, {}};
  if (out.features.empty()) out.features = segmenter_.backbone(batch.images);
  model::Frame frame = batch.frame;
  frame.draw = draw;
  out.encoded = segmenter_.encode(out.features, frame);
  out.queries = segmenter_.assign(out.encoded, batch.truth);
  return out;
}

StepResult Step::take(const Batch& batch, int64_t step, const Look& look) {
  StepResult result;
  {
    const Forward pass = forward(batch, step);
    result.losses = evaluate(terms_, pass);
    if (look) look(pass, result.losses);
    optimizer_.zero_grad();
    total(result.losses).backward();
  }
  result.gradient_norm = optimizer_.step(step);
  for (LossValue& loss : result.losses) {
    loss.value = loss.value.detach();
    loss.weighted = loss.weighted.detach();
  }
  for (const view::Instances& truth : batch.truth) result.image_ids.push_back(truth.image_id);
  return result;
}

}  // namespace iuq::train
