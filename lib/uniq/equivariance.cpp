#include "lib/uniq/equivariance.h"

#include <torch/types.h>

namespace iuq::uniq {
namespace {

// The first P images of a map [B, C, H, W], each seen through its own g.
at::Tensor transformed(const at::Tensor& map, int64_t stride, const PairBatch& batch, view::Alignment alignment) {
  std::vector<at::Tensor> maps;
  for (size_t i = 0; i < batch.pairs.size(); ++i) {
    maps.push_back(batch.pairs[i].apply_features(map[static_cast<int64_t>(i)], stride, alignment));
  }
  return at::stack(maps);  // [P, C, H, W]
}

model::FeaturePyramid transformed(const model::FeaturePyramid& pyramid, const PairBatch& batch,
                                  view::Alignment alignment) {
  model::FeaturePyramid out;
  for (const at::Tensor& level : pyramid) {
    const int64_t stride = batch.encoded.frame.canvas.height / level.size(2);
    // Levels coarser than the backbone's need not divide the canvas; no mask branch reads them.
    const bool on_grid = stride <= 32 && stride * level.size(2) == batch.encoded.frame.canvas.height;
    out.push_back(on_grid ? transformed(level, stride, batch, alignment) : at::Tensor());
  }
  return out;
}

// Rows of the second half of the batch, with image indices counted from there.
model::Queries of_second_half(const model::Queries& queries, int64_t pairs) {
  const at::Tensor rows = at::nonzero(queries.image >= pairs).flatten();
  model::Queries half;
  half.vectors = queries.vectors.index_select(0, rows);
  half.image = queries.image.index_select(0, rows) - pairs;
  half.instance = queries.instance.index_select(0, rows);
  half.label = queries.label.index_select(0, rows);
  half.score = queries.score.index_select(0, rows);
  half.place = queries.place.index_select(0, rows);
  return half;
}

}  // namespace

at::Tensor equivariance_loss(model::Segmenter& segmenter, const PairBatch& batch, const UniqConfig& config) {
  const auto pairs = static_cast<int64_t>(batch.pairs.size());
  const view::Alignment alignment = segmenter.alignment();
  model::Frame frame{batch.encoded.frame.canvas, {}};
  for (int64_t i = 0; i < pairs; ++i) frame.valid.push_back(frame.canvas);

  at::Tensor features;
  if (config.equi_at == "mask_features") {
    features = transformed(batch.encoded.mask_features, segmenter.mask_stride(), batch, alignment);
  } else if (config.equi_at == "neck") {
    features = segmenter.mask_features(transformed(batch.encoded.neck, batch, alignment), frame);
  } else {
    features = segmenter.mask_features(segmenter.neck(transformed(batch.backbone, batch, alignment)), frame);
  }
  std::vector<at::Tensor> valid;
  for (const view::ViewTransform& g : batch.pairs) {
    valid.push_back(g.valid(frame.canvas, segmenter.mask_stride(), alignment));
  }
  const std::vector<view::GroundTruth> truth(batch.truth.begin() + pairs, batch.truth.end());
  return segmenter.mask_loss(of_second_half(batch.queries, pairs), features, truth,
                             at::stack(valid).to(features.device()));
}

}  // namespace iuq::uniq
