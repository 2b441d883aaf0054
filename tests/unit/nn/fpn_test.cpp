#include "lib/nn/fpn.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include "tests/support/catch.h"

// The two tops and the way down of lib/nn/REFERENCE.md 2, with convolutions that pass one channel through.

namespace {

using namespace iuq;

struct Pyramid {
  torch::nn::Module owner;
  nn::Fpn fpn;

  Pyramid(size_t stages, nn::FpnTop top) : fpn(owner, std::vector<int64_t>(stages, 1), 1, top) {
    const torch::NoGradGuard guard;
    for (auto& item : owner.named_parameters()) {
      item.value().zero_();
      if (item.value().dim() < 4) continue;
      const int64_t middle = item.value().size(2) / 2;
      item.value()[0][0][middle][middle].fill_(1);
    }
  }
};

// Stage l of an image of 64 pixels: its place in the row for each column, times `scale`.
at::Tensor stage(int64_t side, float scale) {
  return (torch::arange(side, at::kFloat) * scale).expand({1, 1, side, side}).contiguous();
}

at::Tensor row(const at::Tensor& map) { return map[0][0][0]; }

}  // namespace

TEST_CASE("fpn: on the way down maps are doubled by their nearest cell and added, not averaged", "[nn][golden]") {
  Pyramid p(4, nn::FpnTop::kSubsample);
  const auto levels = p.fpn({stage(16, 1), stage(8, 100), stage(4, 10000), stage(2, 1000000)});
  REQUIRE(levels.size() == 5);
  const at::Tensor columns = torch::arange(16);
  const at::Tensor wanted = columns + columns.div(2, "floor") * 100 + columns.div(4, "floor") * 10000 + columns.div(8, "floor") * 1000000;
  CHECK(row(levels[0]).equal(wanted.to(at::kFloat)));
  CHECK(row(levels[3]).equal(torch::tensor({0.f, 1000000.f})));
}

TEST_CASE("fpn: P6 is every second cell of P5, or two strided convolutions follow P5 with a ReLU before the second",
          "[nn][golden]") {
  Pyramid plain(4, nn::FpnTop::kSubsample);
  CHECK(row(plain.fpn({stage(32, 0), stage(16, 0), stage(8, 0), stage(4, 1)})[4]).equal(torch::tensor({0.f, 2.f})));

  Pyramid convs(3, nn::FpnTop::kConvs);
  const auto levels = convs.fpn({stage(16, 0), stage(8, 0), stage(4, -1)});
  REQUIRE(levels.size() == 5);
  CHECK(row(levels[3]).equal(torch::tensor({0.f, -2.f})));  // from P5, not from the backbone's last stage; no ReLU before
  CHECK(row(levels[4]).equal(torch::tensor({0.f})));
  const at::Tensor output = convs.owner.named_parameters()["fpn_output5.weight"];
  {
    const torch::NoGradGuard guard;
    output.mul_(-3);
  }
  CHECK(row(convs.fpn({stage(16, 0), stage(8, 0), stage(4, -1)})[3]).equal(torch::tensor({0.f, 6.f})));
}
