#include "lib/train/optimizer.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::train;

namespace {

void fake_gradients(model::Segmenter& segmenter, uint64_t seed) {
  for (at::Tensor& parameter : segmenter.parameters()) {
    parameter.mutable_grad() = test::noise(seed++, parameter.sizes().vec());
  }
}

bool same_parameters(const model::Segmenter& a, const model::Segmenter& b) {
  const auto one = a.parameters(), two = b.parameters();
  for (size_t i = 0; i < one.size(); ++i) {
    if (!at::equal(one[i], two[i])) return false;
  }
  return one.size() == two.size();
}

}  // namespace

TEST_CASE("optimizer: a restored state takes the same next step, for both kinds", "[train][property]") {
  for (const char* kind : {"sgd", "adamw"}) {
    CAPTURE(kind);
    TrainConfig config;
    config.optimizer = kind;
    config.clip_norm = 5;
    const auto one = model::make_segmenter(test::tiny_model(), 3, 1);
    const auto two = model::make_segmenter(test::tiny_model(), 3, 1);
    Optimizer first(config, *one), second(config, *two);
    for (int64_t step = 0; step < 3; ++step) {
      fake_gradients(*one, static_cast<uint64_t>(step));
      first.step(step);
    }
    {
      const torch::NoGradGuard guard;
      const auto from = one->parameters(), to = two->parameters();
      for (size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
    }
    second.set_state(first.state());
    for (auto* run : {&first, &second}) {
      fake_gradients(run == &first ? *one : *two, 99);
      run->step(3);
    }
    REQUIRE(same_parameters(*one, *two));
  }
}

TEST_CASE("optimizer: clipping limits the norm of all gradients together", "[train][property]") {
  TrainConfig config;
  config.clip_norm = 0.5;
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  Optimizer optimizer(config, *segmenter);
  fake_gradients(*segmenter, 5);
  double before = 0, after = 0;
  for (const at::Tensor& p : segmenter->parameters()) before += p.grad().pow(2).sum().item<double>();
  const double reported = optimizer.step(2000).item<double>();
  for (const at::Tensor& p : segmenter->parameters()) after += p.grad().pow(2).sum().item<double>();
  REQUIRE(reported == Approx(std::sqrt(before)).epsilon(1e-4));
  REQUIRE(std::sqrt(after) == Approx(0.5).epsilon(1e-3));
}

TEST_CASE("optimizer: state of another shape is an error", "[train][error]") {
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  Optimizer optimizer({}, *segmenter);
  REQUIRE_THROWS_AS(optimizer.set_state({{"momentum.mask_head.conv_pred.0.weight", torch::zeros({2})}}), Error);
}
