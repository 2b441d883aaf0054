#include "lib/train/step.h"

#include <torch/types.h>

#include <cmath>

#include "lib/model/segmenter.h"
#include "lib/train/foreign_pixels.h"
#include "lib/train/optimizer.h"
#include "lib/uniq/equivariance.h"
#include "lib/uniq/inter_scene.h"
#include "tests/unit/model/tiny_segmenters.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using namespace iuq::train;

namespace {

// A step of a tiny run, with its memory filled by the steps before it.
struct StepFixture {
  test::Pieces pieces;
  ForeignPixels foreign;
  Optimizer optimizer;
  std::vector<LossTerm> terms;
  Step step;
  explicit StepFixture(const TrainJob& job)
      : pieces(job), foreign(job.uniq, pieces.negatives.get(), at::kCPU, job.seed), optimizer(job.train, *pieces.segmenter),
        terms(loss_terms(*pieces.segmenter, job.uniq, job.uniq.uses_memory() ? &foreign : nullptr, job.seed)),
        step(*pieces.segmenter, optimizer, terms, job.seed) {}
};

std::vector<std::string> names_of(const std::vector<LossValue>& losses) {
  std::vector<std::string> names;
  for (const LossValue& loss : losses) names.push_back(loss.name);
  return names;
}

at::Tensor image_ids(const Forward& pass) {
  std::vector<int64_t> ids;
  for (int64_t q = 0; q < pass.queries.count(); ++q) {
    ids.push_back(pass.batch.truth[static_cast<size_t>(pass.queries.image[q].item<int64_t>())].image_id);
  }
  return torch::tensor(ids, at::kLong);
}

// L2 norm of all gradients together, which are cleared.
double take_gradient_norm(model::Segmenter& segmenter) {
  double sum = 0;
  for (at::Tensor& parameter : segmenter.parameters()) {
    if (!parameter.grad().defined()) continue;
    sum += parameter.grad().to(at::kDouble).pow(2).sum().item<double>();
    parameter.mutable_grad().reset();
  }
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("step: the loss is the sum of weight times term, from images and from cached features", "[train][property]") {
  test::TinyRun run;
  const bool cached = GENERATE(false, true);
  const bool condinst = GENERATE(false, true);
  CAPTURE(cached, condinst);
  if (condinst) run.job.model = model::effective_model_config(test::tiny_segmenters().at("condinst"));
  if (cached) run.use_cache();
  StepFixture f(run.job);
  // The ramp goes from step 1 to 3: not yet, half, full.
  for (const auto& [number, ramp] : {std::pair<int64_t, double>{0, 0}, {1, 0}, {2, 0.5}, {3, 1}, {5, 1}}) {
    CAPTURE(number, ramp);
    const Batch batch = f.pieces.source->make({0, 1 + number % 5}, number);
    REQUIRE(batch.images.defined() != cached);
    const Forward pass = f.step.forward(batch, number);
    std::vector<std::pair<std::string, at::Tensor>> memory;  // before the step
    for (const auto& [name, tensor] : f.foreign.state()) memory.emplace_back(name, tensor.clone());
    const std::vector<LossValue> losses = evaluate(f.terms, pass);
    CHECK(f.foreign.fill() > 0);  // it is filled from the first step on

    // Every term from its own function, on the same forward pass.
    const model::Losses base = f.pieces.segmenter->base_losses(pass.encoded, pass.queries, batch.truth);
    std::vector<std::pair<double, std::pair<std::string, at::Tensor>>> expected;
    for (const auto& term : base) expected.push_back({1, term});
    if (ramp > 0) {
      const uniq::PairBatch pairs{pass.features, pass.encoded, pass.queries, batch.truth, batch.pairs};
      expected.push_back({ramp * 0.5, {"inter", uniq::inter_scene_loss(*f.pieces.segmenter, pass.queries, image_ids(pass),
                                                                       f.foreign.entries(), run.job.uniq, 0, number)}});
      expected.push_back({ramp * 3, {"equi", uniq::equivariance_loss(*f.pieces.segmenter, pairs, run.job.uniq)}});
    }
    REQUIRE(losses.size() == expected.size());
    double sum = 0;
    at::Tensor loss = torch::zeros({});
    for (size_t i = 0; i < losses.size(); ++i) {
      const auto& [weight, term] = expected[i];
      CAPTURE(term.first);
      CHECK(losses[i].name == term.first);
      CHECK(losses[i].weight == weight);
      CHECK(at::equal(losses[i].value, term.second));
      CHECK(term.second.item<double>() > 0);
      CHECK(losses[i].weighted.item<double>() == Approx(weight * term.second.item<double>()).epsilon(1e-6));
      sum += weight * term.second.item<double>();
      loss = loss + weight * term.second;
    }
    CHECK(total(losses).item<double>() == Approx(sum).epsilon(1e-6));
    loss.backward();
    const double norm = take_gradient_norm(*f.pieces.segmenter);

    // A whole step from the same state sees the same losses and follows the gradient of their sum.
    StepFixture fresh(run.job);
    if (!memory.empty()) fresh.foreign.set_state(memory);
    const StepResult result = fresh.step.take(batch, number);
    CHECK(names_of(result.losses) == names_of(losses));
    CHECK(result.gradient_norm.item<double>() == Approx(norm).epsilon(1e-3));
    for (const LossValue& value : result.losses) CHECK_FALSE(value.weighted.requires_grad());
    std::vector<int64_t> ids;
    for (const auto& truth : batch.truth) ids.push_back(truth.image_id);
    CHECK(result.image_ids == ids);
  }
}

TEST_CASE("step: terms of weight 0 are not computed, and those of a control are not there", "[train]") {
  test::TinyRun run;
  run.job.uniq.inter_weight = 0;
  run.job.uniq.equi_weight = 0;
  StepFixture control(run.job);
  const Batch batch = control.pieces.source->make({0, 1}, 4);
  CHECK(names_of(control.step.take(batch, 4).losses) == std::vector<std::string>{"class", "mask"});
  CHECK(control.foreign.fill() == 0);
  run.job.uniq.equi_weight = 1;
  StepFixture equi(run.job);
  CHECK(names_of(equi.step.take(batch, 4).losses) == std::vector<std::string>{"class", "mask", "equi"});
  CHECK(names_of(equi.step.take(batch, 0).losses) == std::vector<std::string>{"class", "mask"});
}

TEST_CASE("step: a term that is added is prepared, weighted and summed like the others", "[train]") {
  test::TinyRun run;
  run.job.uniq.inter_weight = run.job.uniq.equi_weight = 0;
  StepFixture f(run.job);
  int64_t prepared = 0;
  f.terms.push_back({.name = "two",
                     .weight = [](int64_t step) { return step == 0 ? 0.0 : 0.25; },
                     .values =
                         [](const Forward& pass) {
                           const at::Tensor size = pass.encoded.mask_features.pow(2).mean();
                           return model::Losses{{"first", size}, {"second", 2 * size}};
                         },
                     .prepare = [&](const Forward&) { ++prepared; }});
  const Batch batch = f.pieces.source->make({0, 1}, 0);
  CHECK(evaluate(f.terms, f.step.forward(batch, 0)).size() == 2);
  const auto losses = evaluate(f.terms, f.step.forward(batch, 1));
  CHECK(prepared == 2);
  REQUIRE(names_of(losses) == std::vector<std::string>{"class", "mask", "first", "second"});
  CHECK(losses[3].weighted.item<double>() == Approx(0.5 * losses[2].value.item<double>()));
  const double all = losses[0].value.item<double>() + losses[1].value.item<double>() + 0.75 * losses[2].value.item<double>();
  CHECK(total(losses).item<double>() == Approx(all));
}

TEST_CASE("step: taking one changes every trained parameter, and the same step again gives the same", "[train][property]") {
  test::TinyRun run;
  run.use_cache();
  StepFixture one(run.job), two(run.job);
  const Batch batch = one.pieces.source->make({0, 1}, 3);
  std::vector<at::Tensor> before;
  for (const at::Tensor& parameter : one.pieces.segmenter->parameters()) before.push_back(parameter.detach().clone());
  one.step.take(batch, 3);
  two.step.take(batch, 3);
  const auto named = one.pieces.segmenter->named_parameters();
  const auto again = two.pieces.segmenter->parameters();
  const std::string backbone = one.pieces.segmenter->backbone_prefix();
  size_t i = 0;
  for (const auto& item : named) {
    CAPTURE(item.key());
    CHECK(at::equal(item.value(), again[i]));
    const bool trained = item.key().rfind(backbone, 0) != 0;  // its features come from the cache
    CHECK(at::equal(item.value(), before[i++]) != trained);
  }
}
