#include "lib/nn/deform_attn.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <limits>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/deform_oracle.h"

using namespace iuq;

namespace {

struct Problem {
  nn::LevelShapes shapes;
  std::vector<at::Tensor> inputs;  // value, locations, weights

  Problem to(at::ScalarType type) const {
    Problem out{shapes, {}};
    for (const at::Tensor& input : inputs) out.inputs.push_back(input.detach().to(type).requires_grad_());
    return out;
  }
  at::Tensor attend() const { return nn::deform_attn(inputs[0], shapes, inputs[1], inputs[2]); }
  at::Tensor sample() const { return nn::sampled_attention(inputs[0], shapes, inputs[1], inputs[2]); }
};

// Locations from well outside on one side to well outside on the other.
Problem random_problem(uint64_t seed, int64_t batch, int64_t heads, int64_t depth, int64_t queries, int64_t points,
                       const nn::LevelShapes& shapes) {
  torch::manual_seed(seed);
  const auto levels = static_cast<int64_t>(shapes.size());
  int64_t tokens = 0;
  for (const auto& [height, width] : shapes) tokens += height * width;
  Problem problem{shapes,
                  {at::randn({batch, tokens, heads, depth}, at::kDouble),
                   at::rand({batch, queries, heads, levels, points, 2}, at::kDouble) * 1.6 - 0.3,
                   at::rand({batch, queries, heads, levels, points}, at::kDouble)}};
  for (at::Tensor& input : problem.inputs) input.requires_grad_();
  return problem;
}

const nn::LevelShapes kShapes = {{2, 3}, {4, 5}, {7, 9}};

std::vector<at::Tensor> gradients(const Problem& problem, const at::Tensor& out) {
  const at::Tensor direction = at::linspace(-1, 2, out.numel(), out.options()).view_as(out);
  return torch::autograd::grad({out}, problem.inputs, {direction});
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.numel() == 0 && b.numel() == 0) return 0;
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

// The scalar whose gradients `gradients` takes, with one element of one input replaced.
double with_element(const Problem& problem, size_t input, int64_t i, double value) {
  Problem moved = problem;
  moved.inputs[input] = problem.inputs[input].detach().clone();
  moved.inputs[input].view(-1)[i] = value;
  const at::Tensor out = moved.attend();
  return (out * at::linspace(-1, 2, out.numel(), out.options()).view_as(out)).sum().item<double>();
}

}  // namespace

TEST_CASE("deform_attn: agrees with the definition and with grid_sample, for any depth", "[nn][oracle]") {
  for (const int64_t depth : {1, 7, 8, 13, 32, 40}) {
    CAPTURE(depth);
    const Problem problem = random_problem(static_cast<uint64_t>(depth), 2, 3, depth, 11, 4, kShapes);
    const at::Tensor oracle = test::deform_oracle(problem.inputs[0].detach(), kShapes, problem.inputs[1].detach(),
                                                  problem.inputs[2].detach());
    REQUIRE(oracle.abs().max().item<double>() > 0.5);
    REQUIRE(distance(problem.attend(), oracle) < 1e-12);
    REQUIRE(distance(problem.sample(), oracle) < 1e-12);
    REQUIRE(distance(problem.to(at::kFloat).attend(), oracle) < 2e-4);
  }
}

TEST_CASE("deform_attn: gradients are those of finite differences", "[nn][oracle]") {
  for (const int64_t depth : {3, 32}) {
    const Problem problem = random_problem(5, 1, 2, depth, 3, 2, {{2, 3}, {3, 3}});
    const auto exact = gradients(problem, problem.attend());
    constexpr double kStep = 1e-6;
    for (size_t input = 0; input < 3; ++input) {
      const at::Tensor values = problem.inputs[input].detach().reshape(-1);
      const at::Tensor found = exact[input].reshape(-1);
      for (int64_t i = 0; i < values.numel(); ++i) {
        CAPTURE(depth, input, i);
        const double here = values[i].item<double>();
        const double slope = (with_element(problem, input, i, here + kStep) - with_element(problem, input, i, here - kStep)) / (2 * kStep);
        REQUIRE(found[i].item<double>() == Approx(slope).epsilon(1e-5).margin(1e-6));
      }
    }
  }
}

TEST_CASE("deform_attn: gradients are those of grid_sample", "[nn][oracle]") {
  for (const int64_t depth : {5, 32}) {
    CAPTURE(depth);
    const Problem problem = random_problem(9, 2, 4, depth, 50, 4, kShapes);
    const auto own = gradients(problem, problem.attend());
    const auto theirs = gradients(problem, problem.sample());
    const Problem rounded = problem.to(at::kFloat);
    const auto single = gradients(rounded, rounded.attend());
    for (size_t input = 0; input < 3; ++input) {
      CAPTURE(input);
      const double size = theirs[input].abs().max().item<double>();
      REQUIRE(distance(own[input], theirs[input]) < 1e-12 * size);
      REQUIRE(distance(single[input], theirs[input]) < 1e-4 * size);
    }
  }
}

TEST_CASE("deform_attn: the number of threads changes no bit", "[nn][property]") {
  const int before = at::get_num_threads();
  const Problem problem = random_problem(3, 2, 8, 32, 300, 4, {{5, 7}, {10, 14}, {20, 28}}).to(at::kFloat);
  std::vector<at::Tensor> first;
  for (const int threads : {1, 2, 3, 7}) {
    CAPTURE(threads);
    at::set_num_threads(threads);
    const at::Tensor out = problem.attend();
    auto results = gradients(problem, out);
    results.push_back(out.detach());
    if (first.empty()) first = results;
    for (size_t i = 0; i < results.size(); ++i) REQUIRE(at::equal(results[i], first[i]));
  }
  at::set_num_threads(before);
}

TEST_CASE("deform_attn: points outside add nothing, on the edge a part", "[nn][property]") {
  Problem problem = random_problem(1, 1, 2, 4, 3, 2, kShapes);
  for (const double far : {-1.0, 2.0, -1e30, 1e30}) {
    CAPTURE(far);
    problem.inputs[1] = at::full_like(problem.inputs[1].detach(), far).requires_grad_();
    const at::Tensor out = problem.attend();
    REQUIRE(out.abs().max().item<double>() == 0);
    for (const at::Tensor& gradient : gradients(problem, out)) REQUIRE(gradient.abs().max().item<double>() == 0);
  }
  // The outer edge of a map is half a pixel from its outermost centres.
  problem.inputs[0] = at::ones_like(problem.inputs[0].detach());
  problem.inputs[2] = at::full_like(problem.inputs[2].detach(), 1.0 / 6);
  problem.inputs[1] = at::full_like(problem.inputs[1].detach(), 0.5);
  problem.inputs[1].select(5, 0).fill_(0.0);
  REQUIRE(distance(problem.attend(), at::full({1, 3, 8}, 0.5, at::kDouble)) < 1e-12);
  problem.inputs[1].select(5, 1).fill_(1.0);
  REQUIRE(distance(problem.attend(), at::full({1, 3, 8}, 0.25, at::kDouble)) < 1e-12);
}

TEST_CASE("deform_attn: a location that is not a number shows in its query and head alone", "[nn][error]") {
  const Problem problem = random_problem(1, 1, 2, 32, 3, 2, kShapes).to(at::kFloat);
  const torch::NoGradGuard guard;
  problem.inputs[1][0][1][0][2][1][0] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor bad = problem.attend().isnan();
  REQUIRE(bad[0][1].slice(0, 0, 32).all().item<bool>());
  REQUIRE(bad.sum().item<int64_t>() == 32);
}

TEST_CASE("deform_attn: no queries", "[nn]") {
  const Problem problem = random_problem(1, 2, 2, 4, 0, 2, kShapes);
  const at::Tensor out = problem.attend();
  REQUIRE(out.sizes() == at::IntArrayRef({2, 0, 8}));
  const auto grads = gradients(problem, out);
  REQUIRE(grads[0].abs().max().item<double>() == 0);
  REQUIRE(grads[1].sizes() == problem.inputs[1].sizes());
  REQUIRE(problem.sample().sizes() == out.sizes());
}

TEST_CASE("deform_attn: arguments need not be contiguous, and second derivatives are refused", "[nn]") {
  const Problem problem = random_problem(4, 2, 3, 32, 6, 4, kShapes);
  Problem turned = problem;
  for (at::Tensor& input : turned.inputs) input = input.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_();
  REQUIRE_FALSE(turned.inputs[0].is_contiguous());
  REQUIRE(at::equal(problem.attend(), turned.attend()));
  const auto one = gradients(problem, problem.attend()), two = gradients(turned, turned.attend());
  for (size_t i = 0; i < 3; ++i) REQUIRE(at::equal(one[i], two[i]));
  REQUIRE_THROWS_AS(torch::autograd::grad({problem.attend().sum()}, problem.inputs, {}, true, /*create_graph=*/true), Error);
}
