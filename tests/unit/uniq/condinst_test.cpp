#include <sys/resource.h>

#include "lib/uniq/equivariance.h"
#include "lib/uniq/inter_scene.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

// The method with a segmenter whose masks depend on position and whose queries are networks.

using namespace iuq;
using namespace iuq::uniq;

namespace {

nlohmann::json tiny_condinst() {
  return nlohmann::json::parse(R"({"name": "condinst",
    "backbone": {"name": "resnet10", "width": 8, "norm": "frozen", "freeze": 0},
    "channels": 16, "head_convs": 1, "groups": 4, "mask_channels": 16, "mask_convs": 1, "mask_out_stride": 2,
    "sizes": [32, 64, 128, 256]})");
}

}  // namespace

TEST_CASE("uniq: pixels of an instance without a query lie around its own middle", "[uniq][error]") {
  auto truth = std::vector{test::rectangles(1, 2, {64, 64})};
  truth[0].masks[1].zero_();
  truth[0].masks[1].slice(0, 41, 43).slice(1, 25, 27).fill_(true);  // holds no location
  const auto batch = test::tiny_batch(truth, test::noise(4, {1, 3, 64, 64}), tiny_condinst());
  REQUIRE(batch.queries.instance.eq(1).sum().item<int64_t>() == 0);
  const PixelBatch pixels =
      sample_pixels(*batch.segmenter, batch.encoded.mask_features, truth, batch.queries, {}, {}, 0, 0);
  const at::Tensor rows = at::nonzero(pixels.instance_id == 101).flatten();
  REQUIRE(rows.size(0) == 1);
  CHECK(pixels.pixels.anchor[rows[0].item<int64_t>()].equal(torch::tensor({24.0f, 40.0f, 0.0f})));
}

TEST_CASE("uniq: CondInst's equivariance loss lives in the frame of g(I)", "[uniq][property]") {
  const view::Size canvas{96, 128};
  const view::Instances truth = test::rectangles(1, 3, canvas);
  for (const auto& g : {view::ViewTransform::identity(canvas), view::ViewTransform::flip_x(canvas, view::Alignment::kStrided),
                        view::ViewTransform::crop(canvas, 32, 0, 1.0)}) {
    const at::Tensor image = test::noise(6, {3, canvas.height, canvas.width});
    const auto b = test::tiny_batch({truth, view::transform(truth, g, 4)}, at::stack({image, g.apply_image(image)}),
                                    tiny_condinst());
    b.segmenter->eval();  // batch statistics would differ between the halves
    const auto encoded = b.segmenter->encode(b.backbone, b.encoded.frame);
    const auto queries = b.segmenter->assign(encoded, b.truth);
    const std::vector<view::ViewTransform> pairs{g};
    for (const char* at : {"backbone", "neck", "mask_features"}) {
      CAPTURE(at);
      UniqConfig config;
      config.equi_at = at;
      b.segmenter->zero_grad();
      const at::Tensor loss = equivariance_loss(*b.segmenter, {b.backbone, encoded, queries, b.truth, pairs}, config);
      REQUIRE(std::isfinite(loss.item<double>()));
      REQUIRE(loss.item<double>() > 0);
      if (g.is_identity()) {
        const double base = b.segmenter->mask_loss(queries, encoded.mask_features, b.truth, {}).item<double>();
        REQUIRE(loss.item<double>() == Approx(base).epsilon(1e-4));
      }
      loss.backward({}, /*retain_graph=*/true);
      CHECK(test::gradient_of(*b.segmenter, "controller.") > 0);
      CHECK(test::gradient_of(*b.segmenter, "mask_branch.") > 0);
      CHECK(test::gradient_of(*b.segmenter, "backbone.bottom_up.res3") > 0);
    }
  }
}

TEST_CASE("uniq: the frame's valid part alone decides CondInst's mask loss", "[uniq][property]") {
  const view::Size canvas{64, 64};
  const auto b = test::tiny_batch({test::rectangles(1, 3, canvas)}, test::noise(3, {1, 3, 64, 64}), tiny_condinst());
  at::Tensor valid = torch::ones({1, 8, 8}, at::kBool);
  valid.slice(2, 5).fill_(false);
  const auto loss = [&](const at::Tensor& features) {
    return b.segmenter->mask_loss(b.queries, features, b.truth, valid).item<double>();
  };
  at::Tensor changed = b.encoded.mask_features.detach().clone();
  const double before = loss(changed);
  changed.slice(3, 5).fill_(100);
  CHECK(loss(changed) == before);
  changed.slice(3, 3, 4).fill_(100);
  CHECK(loss(changed) != before);
}

TEST_CASE("uniq: a memory of 100 000 entries meets 500 dynamic queries in less than 1 GB", "[uniq][slow]") {
  const auto segmenter = model::make_segmenter(tiny_condinst(), 3, 1);
  const int64_t q = 500, p = 100000;
  model::Queries queries;
  queries.vectors = (test::noise(1, {q, 169}) * 0.3).requires_grad_();
  queries.image = queries.instance = queries.label = torch::zeros({q}, at::kLong);
  queries.score = torch::zeros({q});
  queries.anchor = test::noise(2, {q, 3}) * torch::tensor({100.0f, 100.0f, 0.0f});
  PixelBatch memory;
  memory.pixels = {test::noise(3, {p, 8}), test::noise(4, {p, 2}) * 100, test::noise(5, {p, 3}) * torch::tensor({100.0f, 100.0f, 0.0f})};
  memory.image_id = torch::ones({p}, at::kLong);
  memory.instance_id = memory.category = torch::zeros({p}, at::kLong);
  inter_scene_loss(*segmenter, queries, torch::zeros({q}, at::kLong), memory, {}, 0, 0).backward();
  REQUIRE(queries.vectors.grad().abs().sum().item<double>() > 0);
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
  WARN("peak memory " << usage.ru_maxrss / 1024 << " MiB");
  CHECK(usage.ru_maxrss < 1000 * 1000);  // in KiB
}
