#include "lib/view/transform.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/view/sample.h"
#include "tests/support/catch.h"
#include "tests/support/normal.h"

using namespace iuq;
using namespace iuq::view;

namespace {

at::Tensor random_image(uint64_t seed, Size size) {
  at::Tensor image = torch::empty({3, size.height, size.width}, at::kFloat);
  Rng rng(seed, "test image");
  float* data = image.data_ptr<float>();
  for (int64_t i = 0; i < image.numel(); ++i) data[i] = static_cast<float>(test::normal(rng));
  return image;
}

// What a network with one strided convolution sees: output i is centred on input 2i.
at::Tensor strided_conv(const at::Tensor& image) {
  const at::Tensor weight = torch::tensor({0.25f, 0.5f, 0.25f}, at::kFloat);
  const at::Tensor kernel = weight.unsqueeze(0) * weight.unsqueeze(1);
  return at::conv2d(image.unsqueeze(1), kernel.view({1, 1, 3, 3}), {}, 2, 1).squeeze(1);
}

}  // namespace

TEST_CASE("view: a plain loop gives the same aligned flip, with an empty first column", "[view][golden]") {
  const at::Tensor image = torch::arange(4, at::kFloat).view({1, 1, 4});
  const auto flip = ViewTransform::flip_x({1, 4}, Alignment::kStrided);
  REQUIRE(at::equal(flip.apply_image(image), torch::tensor({0.f, 3.f, 2.f, 1.f}).view({1, 1, 4})));
  const auto patch = ViewTransform::flip_x({1, 4}, Alignment::kPatch);
  REQUIRE(at::equal(patch.apply_image(image), torch::tensor({3.f, 2.f, 1.f, 0.f}).view({1, 1, 4})));
}

TEST_CASE("view: features of a transformed image are the transformed features", "[view][property]") {
  // The reason for the aligned flip: a strided convolution commutes with it exactly, and with the plain one it does not.
  const Size size{64, 96};
  for (uint64_t seed = 0; seed < 8; ++seed) {
    CAPTURE(seed);
    const at::Tensor image = random_image(seed, size);
    Rng rng(seed, "view");
    const ViewTransform g = draw_view({}, size, Alignment::kStrided, rng);
    const at::Tensor after = strided_conv(g.apply_image(image));
    const at::Tensor before = g.apply_features(strided_conv(image), 2, Alignment::kStrided);
    // Away from the border of what is shown, where the convolution sees what the view has cut off.
    at::Tensor inside = g.valid(size, 2, Alignment::kStrided).to(at::kFloat).unsqueeze(0);
    inside = -at::max_pool2d(-inside, 3, 1, 1);
    inside.slice(1, 0, 1).zero_();
    inside.slice(1, -1).zero_();
    inside.slice(2, 0, 1).zero_();
    inside.slice(2, -1).zero_();
    REQUIRE(inside.sum().item<float>() > 100);
    REQUIRE(((after - before) * inside).abs().max().item<float>() < 1e-5f);
  }
  const at::Tensor image = random_image(1, size);
  const at::Tensor plain = strided_conv(image.flip(2)) - strided_conv(image).flip(2);
  REQUIRE(plain.abs().max().item<float>() > 0.1f);
}

TEST_CASE("view: inverse undoes apply on what both frames show", "[view][property]") {
  const Size size{64, 64};
  for (uint64_t seed = 0; seed < 32; ++seed) {
    CAPTURE(seed);
    const at::Tensor masks = random_image(seed, size) > 0.3;
    Rng rng(seed, "view");
    const ViewTransform g = draw_view({}, size, Alignment::kStrided, rng);
    const ViewTransform back = g.inverse(size);
    const at::Tensor shown = back.apply_masks(g.valid(size, 1, Alignment::kStrided).unsqueeze(0));
    REQUIRE(shown.sum().item<int64_t>() > 0);
    REQUIRE(at::equal(back.apply_masks(g.apply_masks(masks)).logical_and(shown), masks.logical_and(shown)));
    REQUIRE(g.then(back).is_identity());
  }
}

TEST_CASE("view: a composition applies first this, then next", "[view][property]") {
  const Size size{64, 64};
  const at::Tensor image = random_image(3, size);
  const auto crop = ViewTransform::crop(size, 32, -32, 1);
  const auto flip = ViewTransform::flip_x(size, Alignment::kStrided);
  REQUIRE(at::allclose(crop.then(flip).apply_image(image), flip.apply_image(crop.apply_image(image))));
}

TEST_CASE("view: an enlarging crop keeps image and features in step", "[view][property]") {
  const Size size{64, 64};
  // A linear ramp survives bilinear resampling exactly, so both ways must agree everywhere inside.
  const at::Tensor ramp = torch::arange(64, at::kFloat).view({1, 1, 64}).expand({1, 64, 64}).contiguous();
  const auto g = ViewTransform::crop(size, 32, 0, 2);
  const at::Tensor of_image = g.apply_image(ramp).slice(1, 0, 64, 4).slice(2, 0, 64, 4);
  const at::Tensor of_features = g.apply_features(ramp.slice(1, 0, 64, 4).slice(2, 0, 64, 4), 4, Alignment::kStrided);
  const at::Tensor valid = g.valid(size, 4, Alignment::kStrided);
  REQUIRE(at::allclose((of_image * valid), (of_features * valid)));
  REQUIRE(valid.sum().item<int64_t>() >= 14 * 14);
}

TEST_CASE("view: draws are a function of the stream, and crops stay on the grid", "[view][property]") {
  const Size size{128, 192};
  int flips = 0;
  for (uint64_t seed = 0; seed < 64; ++seed) {
    Rng one(seed, "v"), two(seed, "v");
    const ViewTransform g = draw_view({}, size, Alignment::kStrided, one);
    REQUIRE(nlohmann::json(g) == nlohmann::json(draw_view({}, size, Alignment::kStrided, two)));
    REQUIRE_FALSE(g.is_identity());
    REQUIRE(std::fmod(g.x.offset, 32.0) == 0);
    REQUIRE(std::fmod(g.y.offset, 32.0) == 0);
    flips += g.x.scale < 0 ? 1 : 0;
  }
  REQUIRE(flips > 20);
  REQUIRE(flips < 60);
}

TEST_CASE("view: enlarged crops begin and end on the grid", "[view][property]") {
  const Size size{128, 192};
  ViewConfig config;
  config.flip = 0;
  config.min_area = 0.3;
  config.resize = true;
  const auto on_grid = [](double pixel) { return std::abs(pixel / 32 - std::round(pixel / 32)) < 1e-9; };
  int inside = 0;
  for (uint64_t seed = 0; seed < 64; ++seed) {
    CAPTURE(seed);
    Rng rng(seed, "v");
    const ViewTransform g = draw_view(config, size, Alignment::kStrided, rng);
    const double left = -g.x.offset / g.x.scale, top = -g.y.offset / g.y.scale;
    REQUIRE(on_grid(left));
    REQUIRE(on_grid(top));
    // The axis that fills the canvas ends on the grid too; nothing outside of the image is shown there.
    const double width = 192 / g.x.scale, height = 128 / g.y.scale;
    REQUIRE((on_grid(width) || on_grid(height)));
    REQUIRE(left >= 0);
    REQUIRE(top >= 0);
    inside += left > 0 && top > 0 ? 1 : 0;
  }
  REQUIRE(inside > 10);
}

TEST_CASE("view: six numbers round-trip, anything else is an error", "[view][error]") {
  const auto g = ViewTransform::crop({64, 96}, 32, -32, 1.5);
  REQUIRE(nlohmann::json(nlohmann::json(g).get<ViewTransform>()) == nlohmann::json(g));
  for (const char* bad : {"[1,0,1,0,64]", "[0,0,1,0,64,64]", "[1,0,\"x\",0,64,64]", "{}"}) {
    CAPTURE(bad);
    REQUIRE_THROWS_AS(nlohmann::json::parse(bad).get<ViewTransform>(), Error);
  }
}

TEST_CASE("view: instances that a view hardly shows are dropped", "[view]") {
  Instances truth;
  truth.image_id = 7;
  truth.labels = torch::tensor({1, 2}, at::kLong);
  truth.instance_ids = {10, 20};
  truth.masks = torch::zeros({2, 64, 64}, at::kBool);
  truth.masks[0].slice(0, 0, 10).slice(1, 0, 10).fill_(true);    // leaves with the crop
  truth.masks[1].slice(0, 40, 60).slice(1, 40, 60).fill_(true);  // stays
  const Instances seen = transform(truth, ViewTransform::crop({64, 64}, 32, 32, 1), 16);
  REQUIRE(seen.instance_ids == std::vector<int64_t>{20});
  REQUIRE(seen.labels[0].item<int64_t>() == 2);
  REQUIRE(seen.masks.sum().item<int64_t>() == 400);
  REQUIRE(seen.masks[0][8][8].item<bool>());
}
