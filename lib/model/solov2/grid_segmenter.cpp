#include "lib/model/solov2/grid_segmenter.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/model/common.h"
#include "lib/model/solov2/matrix_nms.h"
#include "lib/model/solov2/targets.h"

namespace iuq::model {
namespace {

constexpr double kDiceEps = 0.001;
constexpr int64_t kLevels = 5;
constexpr int64_t kInstanceStrides[kLevels] = {8, 8, 16, 32, 32};

at::Tensor index_tensor(const std::vector<int64_t>& values, const at::Tensor& like) {
  return torch::tensor(values, at::kLong).to(like.device());
}

// [B, C, S, S] of five levels -> [B, sum S*S, C]
at::Tensor by_cell(const std::vector<at::Tensor>& dense, size_t first) {
  std::vector<at::Tensor> rows;
  for (size_t l = first; l < first + kLevels; ++l) rows.push_back(dense[l].flatten(2).transpose(1, 2));
  return at::cat(rows, 1);
}

}  // namespace

GridSegmenter::GridSegmenter(const char* name, const GridConfig& config, int64_t classes)
    : Segmenter(name), config_(config), classes_(classes) {
  const auto owner = register_module("backbone", std::make_shared<torch::nn::Module>("backbone"));
  backbone_ = owner->register_module("bottom_up", nn::make_backbone(config.backbone));
  fpn_ = nn::Fpn(*owner, backbone_->channels(), config.channels);
}

FeaturePyramid GridSegmenter::backbone(const at::Tensor& images) { return backbone_->forward(images); }

FeaturePyramid GridSegmenter::neck(const FeaturePyramid& backbone) { return fpn_(backbone); }

Encoded GridSegmenter::encode(const FeaturePyramid& backbone, const Frame& frame) {
  Encoded encoded;
  encoded.frame = frame;
  encoded.neck = neck(backbone);
  encoded.mask_features = mask_features(encoded.neck, frame);
  encoded.dense = cells(encoded.neck);
  return encoded;
}

Queries GridSegmenter::assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) {
  IUQ_ASSERT(static_cast<int64_t>(truth.size()) == encoded.mask_features.size(0));
  std::vector<int64_t> image, cell, instance, label, class_targets;
  std::vector<float> place;
  for (size_t b = 0; b < truth.size(); ++b) {
    const Solov2Targets targets = solov2_targets(truth[b], config_);
    const at::Tensor labels = truth[b].labels.to(at::kCPU);
    std::vector<int64_t> first = {0};
    for (const int64_t grid : config_.grids) first.push_back(first.back() + grid * grid);
    for (const Solov2Cell& c : targets.cells) {
      const int64_t grid = config_.grids[static_cast<size_t>(c.level)];
      image.push_back(static_cast<int64_t>(b));
      cell.push_back(first[static_cast<size_t>(c.level)] + c.row * grid + c.column);
      instance.push_back(c.instance);
      label.push_back(labels[c.instance].item<int64_t>());
      const auto centre = [grid](int64_t index, int64_t extent) {
        return (static_cast<float>(index) + 0.5f) / static_cast<float>(grid) * static_cast<float>(extent) - 0.5f;
      };
      place.insert(place.end(), {centre(c.column, encoded.frame.canvas.width),
                                 centre(c.row, encoded.frame.canvas.height), static_cast<float>(c.level)});
    }
    for (const auto& level : targets.labels) class_targets.insert(class_targets.end(), level.begin(), level.end());
  }
  const at::Tensor kernels = by_cell(encoded.dense, kLevels);  // [B, cells, D]
  const at::Tensor logits = by_cell(encoded.dense, 0);         // [B, cells, C]
  Queries queries;
  queries.image = index_tensor(image, kernels);
  queries.instance = index_tensor(instance, kernels);
  queries.label = index_tensor(label, kernels);
  const at::Tensor cells = index_tensor(cell, kernels);
  queries.vectors = kernels.index({queries.image, cells});  // [Q, D]
  queries.score = at::sigmoid(logits.detach().index({queries.image, cells, queries.label}));
  queries.place = torch::tensor(place, at::kFloat).view({-1, 3}).to(kernels.device());
  queries.dense_targets = {index_tensor(class_targets, kernels)};  // [B * cells], -1 is background
  return queries;
}

Losses GridSegmenter::base_losses(const Encoded& encoded, const Queries& queries,
                           const std::vector<view::GroundTruth>& truth) {
  const at::Tensor logits = by_cell(encoded.dense, 0).flatten(0, 1);  // [B * cells, C]
  const at::Tensor& labels = queries.dense_targets.at(0);
  const at::Tensor classes = at::arange(classes_, labels.options());
  const at::Tensor targets = labels.unsqueeze(1) == classes.unsqueeze(0);  // [B * cells, C] bool
  const at::Tensor positives = labels.ge(0).sum();
  return {{"class", focal_loss_sum(logits, targets) / (positives + 1)},
          {"mask", mask_loss(queries, encoded.mask_features, truth, {})}};
}

at::Tensor GridSegmenter::mask_loss(const Queries& queries, const at::Tensor& mask_features,
                             const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) {
  // Without queries the loss is 0 but keeps its graph, so that every parameter has a gradient.
  if (queries.count() == 0) return (queries.vectors.sum() + mask_features.sum()) * 0;
  std::vector<at::Tensor> losses;
  const at::Tensor image = queries.image.to(at::kCPU);
  for (size_t b = 0; b < truth.size(); ++b) {
    const at::Tensor rows = at::nonzero(image == static_cast<int64_t>(b)).flatten().to(mask_features.device());
    if (rows.size(0) == 0) continue;
    const auto index = static_cast<int64_t>(b);
    const at::Tensor map = mask_features[index].flatten(1);                                // [D, H*W]
    const at::Tensor logits = queries.vectors.index_select(0, rows).matmul(map);           // [Qb, H*W]
    const at::Tensor masks = quarter_masks(truth[b].masks.to(mask_features.device())).flatten(1);  // [N, H*W] bool
    const at::Tensor targets = masks.index_select(0, queries.instance.index_select(0, rows));
    const at::Tensor weight = valid.defined() ? valid[index].flatten().unsqueeze(0).to(logits.scalar_type()) : at::Tensor();
    losses.push_back(dice_loss(logits, targets, weight, kDiceEps));
  }
  return config_.mask_weight * at::cat(losses).mean();
}

at::Tensor GridSegmenter::mask_logits(const Queries& queries, const at::Tensor& mask_features) {
  const at::Tensor maps = mask_features.index_select(0, queries.image);  // [Q, D, H, W]
  return at::einsum("qd,qdhw->qhw", {queries.vectors, maps});
}

at::Tensor GridSegmenter::pixel_logits(const Queries& queries, const PixelSet& pixels) {
  return queries.vectors.matmul(pixels.embeddings.t());  // [Q, P]
}

at::Tensor GridSegmenter::instance_cells(const view::GroundTruth& truth) {
  return with_centre_cells(quarter_masks(truth.masks), truth.masks, mask_stride());
}

std::vector<Prediction> GridSegmenter::predict(const Encoded& encoded) {
  std::vector<at::Tensor> heat;
  for (size_t l = 0; l < kLevels; ++l) heat.push_back(points_nms(at::sigmoid(encoded.dense[l])));
  std::vector<Prediction> predictions;
  for (int64_t b = 0; b < encoded.mask_features.size(0); ++b) predictions.push_back(predict_one(encoded, heat, b));
  return predictions;
}

Prediction GridSegmenter::predict_one(const Encoded& encoded, const std::vector<at::Tensor>& heat, int64_t image) {
  const at::Tensor map = encoded.mask_features[image];  // [D, H, W]
  const at::Tensor scores_of = by_cell(heat, 0)[image];  // [cells, C]
  std::vector<at::Tensor> strides_of;
  for (size_t l = 0; l < kLevels; ++l) {
    strides_of.push_back(at::full({config_.grids[l] * config_.grids[l]}, kInstanceStrides[l], map.options()));
  }
  const at::Tensor hits = at::nonzero(scores_of > config_.score_threshold);  // [K, 2] cell, class
  at::Tensor cells = hits.select(1, 0);
  at::Tensor labels = hits.select(1, 1);
  at::Tensor scores = scores_of.index({cells, labels});
  const at::Tensor kernels = by_cell(encoded.dense, kLevels)[image].index_select(0, cells);  // [K, D]
  at::Tensor masks = at::sigmoid(kernels.matmul(map.flatten(1)));                            // [K, H*W]
  at::Tensor binary = (masks > config_.mask_threshold).to(masks.scalar_type());
  at::Tensor areas = binary.sum(1);

  const auto keep = [&](const at::Tensor& rows) {
    labels = labels.index_select(0, rows);
    scores = scores.index_select(0, rows);
    masks = masks.index_select(0, rows);
    binary = binary.index_select(0, rows);
    areas = areas.index_select(0, rows);
  };
  // Areas are counted at stride 4, yet compared with the plain stride of the level: so does the reference.
  keep(at::nonzero(areas > at::cat(strides_of).index_select(0, cells)).flatten());
  scores = scores * (masks * binary).sum(1) / areas;  // "maskness"
  const auto sorted = [&](int64_t limit) { return at::argsort(scores, /*stable=*/true, 0, /*descending=*/true).slice(0, 0, limit); };
  keep(sorted(config_.nms_candidates));
  scores = matrix_nms(binary, labels, scores, config_.nms_sigma);
  keep(at::nonzero(scores >= config_.update_threshold).flatten());
  keep(sorted(config_.max_detections));
  return {scores, labels, masks.view({-1, map.size(1), map.size(2)}), config_.mask_threshold};
}

}  // namespace iuq::model
