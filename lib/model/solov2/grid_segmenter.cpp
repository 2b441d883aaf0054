#include "lib/model/solov2/grid_segmenter.h"

#include <torch/types.h>

#include "lib/model/common.h"
#include "lib/model/solov2/matrix_nms.h"
#include "lib/model/solov2/targets.h"
#include "lib/nn/backbone.h"

namespace iuq::model {
namespace {

constexpr double kDiceEps = 0.001;
constexpr int64_t kGridLevels = 5;
constexpr int64_t kInstanceStrides[kGridLevels] = {8, 8, 16, 32, 32};

at::Tensor index_tensor(const std::vector<int64_t>& values, const at::Tensor& like) {
  return torch::tensor(values, at::kLong).to(like.device());
}

struct GridTargets : SegmenterState {
  static constexpr const char* kOwner = GridHeads::kOwner;
  at::Tensor labels;  // [B * cells] int64, -1 is background
};

}  // namespace

GridSegmenter::GridSegmenter(const char* name, const GridConfig& config)
    : Segmenter({name, "backbone.bottom_up.", /*mask_stride=*/4, config.embedding, config.embedding},
                nn::make_backbone(config.backbone)),
      config_(config) {
  fpn_ = nn::Fpn(*named_children()["backbone"], backbone_channels(), config.channels);
}

FeaturePyramid GridSegmenter::do_neck(const FeaturePyramid& backbone) { return fpn_(backbone); }

std::shared_ptr<const SegmenterState> GridSegmenter::do_heads(const FeaturePyramid& neck, const at::Tensor&) {
  return std::make_shared<GridHeads>(grid_heads(neck));
}

Queries GridSegmenter::do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) {
  std::vector<int64_t> image, cell, instance, label, class_targets;
  std::vector<float> anchor;
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
      anchor.insert(anchor.end(), {centre(c.column, encoded.frame.canvas.width),
                                   centre(c.row, encoded.frame.canvas.height), static_cast<float>(c.level)});
    }
    for (const auto& level : targets.labels) class_targets.insert(class_targets.end(), level.begin(), level.end());
  }
  const auto& heads = own_state<GridHeads>(encoded.heads);
  const at::Tensor kernels = to_rows(heads.kernels);  // [B, cells, D]
  const at::Tensor logits = to_rows(heads.classes);   // [B, cells, C]
  Queries queries;
  queries.image = index_tensor(image, kernels);
  queries.instance = index_tensor(instance, kernels);
  queries.label = index_tensor(label, kernels);
  const at::Tensor cells = index_tensor(cell, kernels);
  queries.vectors = kernels.index({queries.image, cells});  // [Q, D]
  queries.score = at::sigmoid(logits.detach().index({queries.image, cells, queries.label}));
  queries.anchor = torch::tensor(anchor, at::kFloat).view({-1, 3}).to(kernels.device());
  const auto targets = std::make_shared<GridTargets>();
  targets->labels = index_tensor(class_targets, kernels);
  queries.targets = targets;
  return queries;
}

Losses GridSegmenter::do_base_losses(const Encoded& encoded, const Queries& queries,
                                     const std::vector<view::Instances>& truth) {
  const at::Tensor logits = to_rows(own_state<GridHeads>(encoded.heads).classes).flatten(0, 1);  // [B * cells, C]
  const at::Tensor& labels = own_state<GridTargets>(queries.targets).labels;
  const at::Tensor positives = labels.ge(0).sum();
  return {{"class", class_loss_sum(logits, labels) / (positives + 1)},
          {"mask", mask_loss(queries, encoded.mask_features, truth, {})}};
}

at::Tensor GridSegmenter::do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                       const std::vector<view::Instances>& truth, const at::Tensor& valid) {
  return config_.mask_weight * mean_by_image(queries, mask_features, [&](const Queries& own, int64_t b) {
    const at::Tensor logits = do_mask_logits(own, mask_features[b]).flatten(1);  // [Qb, H*W]
    const at::Tensor masks = do_cells(truth[static_cast<size_t>(b)].masks.to(logits.device())).flatten(1);  // [N, H*W]
    const at::Tensor weight = valid.defined() ? valid[b].flatten().unsqueeze(0).to(logits.scalar_type()) : at::Tensor();
    return dice_loss(logits, masks.index_select(0, own.instance), weight, kDiceEps);
  });
}

at::Tensor GridSegmenter::do_cells(const at::Tensor& masks) { return quarter_masks(masks); }

std::vector<Prediction> GridSegmenter::do_predict(const Encoded& encoded) {
  const auto& heads = own_state<GridHeads>(encoded.heads);
  std::vector<at::Tensor> heat;
  for (const at::Tensor& logits : heads.classes) heat.push_back(points_nms(at::sigmoid(logits)));
  const at::Tensor scores = to_rows(heat);
  std::vector<Prediction> predictions;
  for (int64_t b = 0; b < scores.size(0); ++b) predictions.push_back(predict_one(encoded, scores, b));
  return predictions;
}

Prediction GridSegmenter::predict_one(const Encoded& encoded, const at::Tensor& heat, int64_t image) const {
  const at::Tensor map = encoded.mask_features[image];  // [D, H, W]
  const at::Tensor scores_of = heat[image];             // [cells, C]
  std::vector<at::Tensor> strides_of;
  for (size_t l = 0; l < kGridLevels; ++l) {
    strides_of.push_back(at::full({config_.grids[l] * config_.grids[l]}, kInstanceStrides[l], map.options()));
  }
  const at::Tensor hits = at::nonzero(scores_of > config_.score_threshold);  // [K, 2] cell, class
  at::Tensor cells = hits.select(1, 0);
  at::Tensor labels = hits.select(1, 1);
  at::Tensor scores = scores_of.index({cells, labels});
  const auto& heads = own_state<GridHeads>(encoded.heads);
  const at::Tensor kernels = to_rows(heads.kernels)[image].index_select(0, cells);  // [K, D]
  at::Tensor masks = at::sigmoid(kernels.matmul(map.flatten(1)));                   // [K, H*W]
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
