#include "lib/infer/predictor.h"

#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/nn/backbone.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;

namespace {

// Its first map holds every pixel: those of a cell of 4 x 4 lie in 16 channels for each of the image's.
class PixelBackbone : public nn::Backbone {
 public:
  explicit PixelBackbone(view::Alignment alignment) : alignment_(alignment) {}
  std::vector<at::Tensor> forward(const at::Tensor& images) override {
    std::vector<at::Tensor> maps = {at::pixel_unshuffle(images, 4)};
    for (int64_t stride = 8; stride <= 32; stride *= 2) {
      maps.push_back(torch::zeros({images.size(0), 1, images.size(2) / stride, images.size(3) / stride}));
    }
    return maps;
  }
  std::vector<int64_t> channels() const override { return {48, 1, 1, 1}; }
  view::Alignment alignment() const override { return alignment_; }

 private:
  view::Alignment alignment_;
};

// Finds one instance, where the image is positive, and looks nowhere else.
class Threshold : public model::Segmenter {
 public:
  explicit Threshold(view::Alignment alignment)
      : Segmenter({"Threshold", "backbone.", /*mask_stride=*/1, /*mask_channels=*/3, /*query_width=*/1},
                  std::make_shared<PixelBackbone>(alignment)) {}

 protected:
  model::FeaturePyramid do_neck(const model::FeaturePyramid& backbone) override { return backbone; }
  at::Tensor do_mask_features(const model::FeaturePyramid& neck) override { return at::pixel_shuffle(neck[0], 4); }
  std::shared_ptr<const model::SegmenterState> do_heads(const model::FeaturePyramid&, const at::Tensor&) override {
    return nullptr;
  }
  std::vector<model::Prediction> do_predict(const model::Encoded& encoded) override {
    const at::Tensor masks = encoded.mask_features[0].slice(0, 0, 1).gt(0).to(at::kFloat);  // [1, Hi, Wi]
    return {{torch::full({1}, 0.75f), torch::zeros({1}, at::kLong), masks, 0.5}};
  }
  model::Queries do_assign(const model::Encoded&, const std::vector<view::Instances>&) override { unused(); }
  model::Losses do_base_losses(const model::Encoded&, const model::Queries&, const std::vector<view::Instances>&) override {
    unused();
  }
  at::Tensor do_mask_loss(const model::Queries&, const at::Tensor&, const std::vector<view::Instances>&,
                          const at::Tensor&) override {
    unused();
  }
  at::Tensor do_cells(const at::Tensor&) override { unused(); }

 private:
  [[noreturn]] static void unused() { throw Error(ErrorCode::kInternal, "not for detection"); }
};

infer::Predictor predictor_of(view::Alignment alignment) {
  model::Checkpoint checkpoint;
  checkpoint.segmenter = std::make_shared<Threshold>(alignment);
  return infer::Predictor(std::move(checkpoint), c10::kCPU);
}

// An image of 20x24 on a canvas of 32x32: an upright bar that touches the left border from row 6 on, and one further right.
at::Tensor bars() {
  at::Tensor image = torch::full({3, 32, 32}, -1.f);
  image.slice(1, 6, 20).slice(2, 0, 3).fill_(1);
  image.slice(1, 2, 9).slice(2, 13, 20).fill_(1);
  return image;
}

}  // namespace

TEST_CASE("predictor: a mirrored look finds the masks of a plain one, in the image's own frame", "[infer][property]") {
  for (const auto alignment : {view::Alignment::kStrided, view::Alignment::kPatch}) {
    auto predictor = predictor_of(alignment);
    const view::Size canvas{32, 32}, valid{20, 24};
    for (const view::Size original : {valid, view::Size{40, 48}, view::Size{10, 12}}) {
      const infer::Framing plain{valid, original, view::ViewTransform::identity(canvas)};
      const infer::Framing mirrored{valid, original, predictor.mirror(canvas)};
      const auto one = predictor.detect(bars(), plain, 100);
      const auto two = predictor.detect(mirrored.view.apply_image(bars()), mirrored, 100);
      REQUIRE(one.size() == 1);
      REQUIRE(two.size() == 1);
      CHECK(one[0].mask == two[0].mask);
      CHECK(mask::area(one[0].mask) > 0);
      CHECK(two[0].score == 0.75);
    }
  }
}

TEST_CASE("predictor: scores know the masks at the image's own size, and order the detections", "[infer][property]") {
  model::Checkpoint checkpoint;
  checkpoint.segmenter = model::make_segmenter(nlohmann::json::parse(R"({"name": "mask2former",
    "backbone": {"name": "resnet10", "width": 8}, "width": 16, "embedding": 12, "groups": 4, "heads": 2,
    "encoder_layers": 1, "encoder_ffn": 16, "queries": 9, "decoder_layers": 2, "decoder_ffn": 16, "max_detections": 20})"),
                                               3, 1);
  const auto segmenter = checkpoint.segmenter;
  const view::Size canvas{64, 96}, valid{60, 90}, original{45, 71};
  const at::Tensor image = test::noise(3, {3, canvas.height, canvas.width});
  const infer::Framing framing{valid, original, view::ViewTransform::identity(canvas)};
  infer::Predictor predictor(std::move(checkpoint), at::kCPU);
  const auto found = predictor.detect(image, framing, 100);
  REQUIRE(found.size() > 4);

  // The same by hand, in the reference's order: whole canvas, cut, own size.
  const torch::NoGradGuard guard;
  const auto encoded = segmenter->encode(segmenter->backbone(image.unsqueeze(0)), {canvas, {valid}});
  const model::Prediction all = segmenter->predict(encoded).at(0);
  at::Tensor masks = at::upsample_bilinear2d(all.masks.unsqueeze(1), {canvas.height, canvas.width}, false);
  masks = masks.slice(2, 0, valid.height).slice(3, 0, valid.width);
  masks = at::upsample_bilinear2d(masks, {original.height, original.width}, false).squeeze(1);
  std::vector<double> scores;
  for (int64_t k = 0; k < all.scores.size(0); ++k) {
    const at::Tensor inside = masks[k] > 0;
    const int64_t area = inside.sum().item<int64_t>();
    if (area == 0) continue;
    scores.push_back(all.scores[k].item<double>() * masks[k].sigmoid().masked_select(inside).mean().item<double>());
  }
  std::sort(scores.rbegin(), scores.rend());
  REQUIRE(found.size() == scores.size());
  for (size_t i = 0; i < scores.size(); ++i) CHECK(found[i].score == Approx(scores[i]).epsilon(1e-5));

  const auto best = predictor.detect(image, framing, 3);
  REQUIRE(best.size() == 3);
  for (size_t i = 0; i < best.size(); ++i) CHECK(best[i].score == found[i].score);
}
