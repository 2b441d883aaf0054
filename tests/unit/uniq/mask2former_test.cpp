#include "lib/uniq/equivariance.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

// The method with a segmenter whose queries are matched and whose mask loss looks at random points.

using namespace iuq;
using namespace iuq::uniq;

namespace {

nlohmann::json tiny_mask2former() {
  return nlohmann::json::parse(R"({"name": "mask2former",
    "backbone": {"name": "resnet10", "width": 8, "norm": "frozen", "freeze": 0},
    "width": 16, "embedding": 12, "groups": 4, "heads": 2, "encoder_layers": 1, "encoder_ffn": 16, "queries": 8,
    "decoder_layers": 3, "decoder_ffn": 16, "loss_points": 256})");
}

}  // namespace

TEST_CASE("uniq: Mask2Former's equivariance loss lives in the frame of g(I)", "[uniq][property]") {
  const view::Size canvas{96, 128};
  const view::Instances truth = test::rectangles(1, 3, canvas);
  for (const auto& g : {view::ViewTransform::identity(canvas),
                        view::ViewTransform::flip_x(canvas, view::Alignment::kStrided),
                        view::ViewTransform::crop(canvas, 32, 0, 1.0)}) {
    const at::Tensor image = test::noise(6, {3, canvas.height, canvas.width});
    const auto b = test::tiny_batch({truth, view::transform(truth, g, 4)}, at::stack({image, g.apply_image(image)}),
                                    tiny_mask2former());
    const std::vector<view::ViewTransform> pairs{g};
    for (const char* at : {"backbone", "neck", "mask_features"}) {
      CAPTURE(at);
      UniqConfig config;
      config.equi_at = at;
      b.segmenter->zero_grad();
      const at::Tensor loss = equivariance_loss(*b.segmenter, {b.backbone, b.encoded, b.queries, b.truth, pairs}, config);
      REQUIRE(std::isfinite(loss.item<double>()));
      REQUIRE(loss.item<double>() > 0);
      if (g.is_identity()) {  // the first image's own loss: same queries, same map, same points
        const model::Queries own = b.queries.rows(at::nonzero(b.queries.image == 0).flatten());
        const at::Tensor map = b.encoded.mask_features.slice(0, 0, 1);
        const double base = b.segmenter->mask_loss(own, map, {b.truth[0]}, {}).item<double>();
        REQUIRE(loss.item<double>() == Approx(base).epsilon(1e-4));
      }
      loss.backward({}, /*retain_graph=*/true);
      CHECK(test::gradient_of(*b.segmenter, "sem_seg_head.predictor.mask_embed.") > 0);
      CHECK(test::gradient_of(*b.segmenter, "sem_seg_head.pixel_decoder.mask_features.") > 0);
      CHECK(test::gradient_of(*b.segmenter, "backbone.res3") > 0);
    }
  }
}

TEST_CASE("uniq: the frame's valid part alone decides Mask2Former's mask loss", "[uniq][property]") {
  const view::Size canvas{64, 64};
  const auto b = test::tiny_batch({test::rectangles(1, 3, canvas)}, test::noise(3, {1, 3, 64, 64}), tiny_mask2former());
  at::Tensor valid = torch::ones({1, 16, 16}, at::kBool);
  const auto loss = [&](const at::Tensor& features) {
    return b.segmenter->mask_loss(b.queries, features, b.truth, valid).item<double>();
  };
  at::Tensor changed = b.encoded.mask_features.detach().clone();
  CHECK(loss(changed) == Approx(b.segmenter->mask_loss(b.queries, changed, b.truth, {}).item<double>()).epsilon(1e-5));
  valid.slice(2, 10).fill_(false);
  const double before = loss(changed);
  changed.slice(3, 10).fill_(100);
  CHECK(loss(changed) == before);
  changed.slice(3, 8, 9).fill_(100);
  CHECK(loss(changed) != before);
}
