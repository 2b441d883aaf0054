#include "lib/nn/windows.h"

#include <torch/torch.h>


#include "lib/base/rng.h"
#include "tests/support/catch.h"

namespace {

using namespace iuq;
using nn::WindowPlan;

// What the reference does: pad, roll, cut. [B, H, W, C] -> [B * windows * N, C]
at::Tensor cut_slowly(const at::Tensor& maps, int64_t side, int64_t shift) {
  const view::Size padded = view::round_up({maps.size(1), maps.size(2)}, side);
  at::Tensor x = at::constant_pad_nd(maps, {0, 0, 0, padded.width - maps.size(2), 0, padded.height - maps.size(1)});
  x = at::roll(x, {-shift, -shift}, {1, 2});
  return x.view({maps.size(0), padded.height / side, side, padded.width / side, side, -1})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, maps.size(3)});
}

// The reference's mask: regions of the padded, rolled map, cut into windows. [windows, N, N] bool, true where -100 is added.
at::Tensor mask_slowly(view::Size map, int64_t side, int64_t shift) {
  const view::Size padded = view::round_up(map, side);
  const at::Tensor region = torch::zeros({1, padded.height, padded.width, 1});
  const auto bounds = [&](int64_t extent) { return std::vector<int64_t>{0, extent - side, extent - shift, extent}; };
  int64_t count = 0;
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      region.slice(1, bounds(padded.height)[i], bounds(padded.height)[i + 1])
          .slice(2, bounds(padded.width)[j], bounds(padded.width)[j + 1])
          .fill_(count++);
    }
  }
  const at::Tensor cut = cut_slowly(region, side, 0).view({-1, side * side});
  return cut.unsqueeze(1) != cut.unsqueeze(2);
}

struct Case {
  view::Size map;
  int64_t side, shift;
};

std::vector<Case> cases() {
  std::vector<Case> all = {{{1, 1}, 7, 3}, {{5, 3}, 7, 3}, {{7, 14}, 7, 0}, {{7, 14}, 7, 3}, {{12, 24}, 12, 6}};
  Rng rng(0, "windows");
  for (int i = 0; i < 20; ++i) {
    const int64_t side = 2 + rng.below(6), height = 1 + rng.below(20), width = 1 + rng.below(20);
    all.push_back({{height, width}, side, rng.below(2) * (side / 2)});
  }
  return all;
}

}  // namespace

TEST_CASE("windows: tokens lie where padding, rolling and cutting put them, and come back", "[nn][property]") {
  for (const Case& c : cases()) {
    CAPTURE(c.map.height, c.map.width, c.side, c.shift);
    const WindowPlan plan = nn::plan_windows(c.map, c.side, c.shift, at::kCPU);
    const at::Tensor maps = torch::rand({3, c.map.height, c.map.width, 2}) + 1;
    const at::Tensor rows = maps.view({-1, 2});
    const at::Tensor windows = nn::to_windows(rows, plan);
    CHECK(at::equal(windows, cut_slowly(maps, c.side, c.shift)));
    CHECK(at::equal(nn::from_windows(windows, plan), rows));
    CHECK(at::equal(plan.pads, torch::tensor(plan.pad_list, at::kLong)));
    CHECK(plan.windows * plan.places == windows.size(0) / 3);
  }
}

TEST_CASE("windows: gradients are those of the slow way", "[nn][property]") {
  const Case c{{9, 12}, 5, 2};
  const WindowPlan plan = nn::plan_windows(c.map, c.side, c.shift, at::kCPU);
  const at::Tensor maps = torch::rand({2, 9, 12, 3});
  const auto gradient = [&](bool slowly) {
    const at::Tensor leaf = maps.clone().set_requires_grad(true);
    const at::Tensor windows =
        slowly ? cut_slowly(leaf, c.side, c.shift) : nn::to_windows(leaf.reshape({-1, 3}), plan);
    const at::Tensor weight = torch::arange(windows.numel(), at::kFloat).view(windows.sizes());
    return torch::autograd::grad({(windows * weight).sum()}, {leaf})[0];
  };
  CHECK(at::equal(gradient(true), gradient(false)));
  const at::Tensor windows = torch::rand({2 * plan.windows * plan.places, 3}).set_requires_grad(true);
  const at::Tensor weight = torch::rand({2 * 9 * 12, 3});
  const at::Tensor back = torch::autograd::grad({(nn::from_windows(windows, plan) * weight).sum()}, {windows})[0];
  CHECK(at::equal(back, nn::to_windows(weight, plan)));  // padding gets nothing
}

TEST_CASE("windows: tokens see their own side of a seam, as the reference's mask has it", "[nn][property]") {
  for (const Case& c : cases()) {
    CAPTURE(c.map.height, c.map.width, c.side, c.shift);
    const WindowPlan plan = nn::plan_windows(c.map, c.side, c.shift, at::kCPU);
    REQUIRE(plan.mask.defined() == (c.shift > 0));
    if (c.shift == 0) continue;
    const at::Tensor mask = plan.mask.squeeze(1).index_select(0, plan.kind);  // [windows, N, N]
    CHECK(at::equal(mask.isinf(), mask_slowly(c.map, c.side, c.shift)));
    CHECK(mask.isinf().logical_not().any(2).all().item<bool>());  // no row is blocked as a whole
    CHECK(mask.masked_select(mask.isinf().logical_not()).abs().sum().item<double>() == 0);
  }
}

TEST_CASE("windows: relative positions of a window of 2 x 2", "[nn][golden]") {
  const std::vector<int64_t> wanted = {4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4};
  CHECK(at::equal(nn::relative_positions(2), torch::tensor(wanted, at::kLong)));
}
