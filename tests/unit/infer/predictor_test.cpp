#include "lib/infer/predictor.h"

#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::infer;

TEST_CASE("predictor: scores know the masks at the image's own size, and order the detections", "[infer][property]") {
  model::Checkpoint checkpoint;
  checkpoint.segmenter = model::make_segmenter(nlohmann::json::parse(R"({"name": "mask2former",
    "backbone": {"name": "resnet10", "width": 8}, "width": 16, "embedding": 12, "groups": 4, "heads": 2,
    "encoder_layers": 1, "encoder_ffn": 16, "queries": 9, "decoder_layers": 2, "decoder_ffn": 16, "max_detections": 20})"),
                                               3, 1);
  const auto segmenter = checkpoint.segmenter;
  const view::Size canvas{64, 96}, valid{60, 90}, original{45, 71};
  const at::Tensor image = test::noise(3, {3, canvas.height, canvas.width});
  const auto found = Predictor(std::move(checkpoint), at::kCPU).detect(image, valid, original, 12);
  REQUIRE(found.size() > 4);

  // The same by hand, in the reference's order: whole canvas, cut, own size.
  const torch::NoGradGuard guard;
  const auto encoded = segmenter->encode(segmenter->backbone(image.unsqueeze(0)), {canvas, {valid}});
  const model::Prediction all = segmenter->predict(encoded).at(0);
  at::Tensor masks = at::upsample_bilinear2d(all.masks.unsqueeze(1), {canvas.height, canvas.width}, false);
  masks = masks.slice(2, 0, valid.height).slice(3, 0, valid.width);
  masks = at::upsample_bilinear2d(masks, {original.height, original.width}, false).squeeze(1);
  std::vector<double> scores;
  for (int64_t k = 0; k < 12; ++k) {
    const at::Tensor inside = masks[k] > 0;
    const int64_t area = inside.sum().item<int64_t>();
    if (area == 0) continue;
    scores.push_back(all.scores[k].item<double>() * masks[k].sigmoid().masked_select(inside).mean().item<double>());
  }
  std::sort(scores.rbegin(), scores.rend());
  REQUIRE(found.size() == scores.size());
  for (size_t i = 0; i < scores.size(); ++i) CHECK(found[i].score == Approx(scores[i]).epsilon(1e-5));
}
