#include "lib/uniq/equivariance.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/view/shape.h"

namespace iuq::uniq {
namespace {

// The first P images of a map [B, C, H, W], each seen through its own g.
at::Tensor transformed(const at::Tensor& map, int64_t stride, const std::vector<view::ViewTransform>& pairs,
                       view::Alignment alignment) {
  std::vector<at::Tensor> maps;
  for (size_t i = 0; i < pairs.size(); ++i) {
    maps.push_back(pairs[i].apply_features(map[static_cast<int64_t>(i)], stride, alignment));
  }
  return at::stack(maps);  // [P, C, H, W]
}

model::FeaturePyramid transformed(const model::FeaturePyramid& pyramid, view::Size canvas,
                                  const std::vector<view::ViewTransform>& pairs, view::Alignment alignment) {
  model::FeaturePyramid out;
  for (const at::Tensor& level : pyramid) {
    const int64_t stride = canvas.height / level.size(2);
    // Levels coarser than the backbone's need not divide the canvas; no mask branch reads them.
    const bool on_grid = stride <= 32 && stride * level.size(2) == canvas.height;
    out.push_back(on_grid ? transformed(level, stride, pairs, alignment) : at::Tensor());
  }
  return out;
}

void check(const model::Segmenter& segmenter, const PairBatch& batch) {
  const auto images = static_cast<int64_t>(2 * batch.pairs.size());
  const view::Size canvas = batch.encoded.frame.canvas;
  for (const at::Tensor& level : batch.backbone) {
    view::expect_shape(level, {images, -1, -1, -1}, at::kFloat, "backbone");
  }
  view::expect_shape(batch.encoded.mask_features, {images, segmenter.mask_channels(), -1, -1}, at::kFloat, "mask_features");
  view::expect_count(batch.truth.size(), 2 * batch.pairs.size(), "truth");
  batch.queries.check(segmenter.query_width());
  for (const view::ViewTransform& g : batch.pairs) IUQ_ASSERT(g.size == canvas);
}

}  // namespace

at::Tensor transformed_mask_features(model::Segmenter& segmenter, const model::FeaturePyramid& backbone,
                                     const model::Encoded& encoded, const std::vector<view::ViewTransform>& pairs,
                                     const std::string& equi_at) {
  const view::Alignment alignment = segmenter.alignment();
  if (equi_at == "mask_features") return transformed(encoded.mask_features, segmenter.mask_stride(), pairs, alignment);
  const view::Size canvas = encoded.frame.canvas;
  const model::Frame frame{canvas, std::vector<view::Size>(pairs.size(), canvas)};
  if (equi_at == "neck") return segmenter.mask_features(transformed(encoded.neck, canvas, pairs, alignment), frame);
  return segmenter.mask_features(segmenter.neck(transformed(backbone, canvas, pairs, alignment)), frame);
}

model::Queries of_second_half(const model::Queries& queries, int64_t pairs) {
  model::Queries half = queries.rows(at::nonzero(queries.image >= pairs).flatten());
  half.image = half.image - pairs;
  half.targets = nullptr;
  return half;
}

at::Tensor shown_cells(const model::Segmenter& segmenter, view::Size canvas, const std::vector<view::ViewTransform>& pairs,
                       c10::Device device) {
  std::vector<at::Tensor> shown;
  for (const view::ViewTransform& g : pairs) {
    shown.push_back(g.valid(canvas, segmenter.mask_stride(), segmenter.alignment()));
  }
  return at::stack(shown).to(device);  // [P, H, W]
}

at::Tensor equivariance_loss(model::Segmenter& segmenter, const PairBatch& batch, const UniqConfig& config) {
  check(segmenter, batch);
  const auto pairs = static_cast<int64_t>(batch.pairs.size());
  const at::Tensor features =
      transformed_mask_features(segmenter, batch.backbone, batch.encoded, batch.pairs, config.equi_at);
  const std::vector<view::Instances> truth(batch.truth.begin() + pairs, batch.truth.end());
  return segmenter.mask_loss(of_second_half(batch.queries, pairs), features, truth,
                             shown_cells(segmenter, batch.encoded.frame.canvas, batch.pairs, features.device()));
}

}  // namespace iuq::uniq
