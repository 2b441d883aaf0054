#include "lib/nn/small_conv.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <vector>

#include "tests/support/catch.h"

using namespace iuq;

namespace {

struct SmallCase {
  int64_t batch, in, out, height, width, kernel, stride;
  bool bias;
};

// Output and gradients of x, weight and bias (empty where there is none), of a loss that weighs each output differently.
template <class Convolve>
std::vector<at::Tensor> results_of(const SmallCase& c, at::MemoryFormat format, const Convolve& convolve) {
  torch::manual_seed(7);
  at::Tensor x = at::randn({c.batch, c.in, c.height, c.width}).contiguous(format).set_requires_grad(true);
  at::Tensor weight = at::randn({c.out, c.in, c.kernel, c.kernel}).set_requires_grad(true);
  at::Tensor bias;
  if (c.bias) bias = at::randn({c.out}).set_requires_grad(true);
  const at::Tensor y = convolve(x, weight, bias);
  (y * at::randn(y.sizes())).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), c.bias ? bias.grad() : at::zeros({0})};
}

}  // namespace

TEST_CASE("small_conv: output and gradients are conv2d's", "[nn][property]") {
  const auto c = GENERATE(SmallCase{3, 4, 5, 6, 7, 3, 1, true}, SmallCase{2, 8, 1, 5, 5, 3, 1, true}, SmallCase{2, 3, 9, 1, 1, 3, 1, false},
                          SmallCase{1, 4, 4, 1, 6, 3, 1, false}, SmallCase{2, 4, 6, 7, 6, 3, 2, true}, SmallCase{2, 4, 6, 8, 8, 3, 2, false},
                          SmallCase{2, 5, 4, 6, 6, 1, 1, true}, SmallCase{2, 5, 4, 7, 6, 1, 2, false}, SmallCase{1, 3, 4, 9, 8, 7, 2, false},
                          SmallCase{0, 3, 4, 5, 5, 3, 1, true});
  const auto format = GENERATE(at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast);
  CAPTURE(c.batch, c.in, c.out, c.height, c.width, c.kernel, c.stride);
  const auto ours = results_of(c, format, [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    REQUIRE(nn::is_small_conv(x, weight, c.stride));
    return nn::small_conv2d(x, weight, bias, c.stride);
  });
  const auto theirs = results_of(c, format, [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::conv2d(x, weight, bias, c.stride, c.kernel / 2);
  });
  for (size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(i);
    REQUIRE(ours[i].sizes() == theirs[i].sizes());
    REQUIRE(at::allclose(ours[i], theirs[i], 1e-4, 1e-4));
  }
}

TEST_CASE("small_conv: what has no gradient gets none, and what follows may work in place", "[nn][property]") {
  const at::Tensor x = at::randn({2, 4, 5, 5}), frozen = at::randn({6, 4, 3, 3});
  const at::Tensor weight = at::randn({6, 4, 3, 3}).set_requires_grad(true);
  nn::small_conv2d(x, weight, {}, 1).relu_().sum().backward();
  REQUIRE(weight.grad().defined());
  REQUIRE_FALSE(x.grad().defined());
  const at::Tensor input = x.clone().set_requires_grad(true);
  nn::small_conv2d(input, frozen, {}, 1).sum().backward();
  REQUIRE(input.grad().defined());
}

TEST_CASE("small_conv: maps are small by their own size, not by the batch's, and only in training", "[nn]") {
  const at::Tensor weight = at::randn({32, 32, 3, 3});
  REQUIRE(nn::is_small_conv(at::empty({64, 32, 10, 10}), weight, 1));
  REQUIRE_FALSE(nn::is_small_conv(at::empty({1, 32, 12, 12}), weight, 1));
  REQUIRE(nn::is_small_conv(at::empty({1, 32, 12, 12}), weight.slice(0, 0, 4), 1));
  const torch::NoGradGuard guard;
  REQUIRE_FALSE(nn::is_small_conv(at::empty({1, 32, 3, 3}), weight, 1));
}

TEST_CASE("small_conv: a second derivative is an error", "[nn][error]") {
  const at::Tensor x = at::randn({1, 2, 3, 3}).set_requires_grad(true), weight = at::randn({2, 2, 3, 3});
  const at::Tensor loss = nn::small_conv2d(x, weight, {}, 1).square().sum();
  REQUIRE_THROWS(torch::autograd::grad({loss}, {x}, {}, true, /*create_graph=*/true));
}
