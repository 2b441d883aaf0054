#include "lib/model/mask2former/mask2former.h"

#include <torch/types.h>

#include "lib/model/common.h"
#include "lib/model/mask2former/criterion.h"
#include "lib/nn/backbone.h"

namespace iuq::model {

Mask2Former::Mask2Former(const Mask2FormerConfig& config, int64_t classes)
    : Segmenter({"Mask2Former", "backbone.", /*mask_stride=*/4, config.embedding, config.embedding},
                nn::make_backbone(config.backbone)),
      config_(config) {
  const auto head = register_module("sem_seg_head", std::make_shared<torch::nn::Module>("head"));
  pixel_decoder_ = head->register_module("pixel_decoder", Mask2FormerPixelDecoder(config, backbone_channels()));
  decoder_ = head->register_module("predictor", Mask2FormerMaskedDecoder(config, classes));
}

FeaturePyramid Mask2Former::do_neck(const FeaturePyramid& backbone) {
  FeaturePyramid neck = pixel_decoder_->levels(backbone);
  neck.insert(neck.begin(), backbone.front());
  return neck;
}

at::Tensor Mask2Former::do_mask_features(const FeaturePyramid& neck) {
  return pixel_decoder_->mask_features(neck[0], neck[1]);
}

std::shared_ptr<const SegmenterState> Mask2Former::do_heads(const FeaturePyramid& neck, const at::Tensor& mask_features) {
  return std::make_shared<Mask2FormerRounds>(decoder_->forward({neck.begin() + 1, neck.end()}, mask_features));
}

Queries Mask2Former::do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) {
  const auto& rounds = own_state<Mask2FormerRounds>(encoded.heads);
  const auto targets = std::make_shared<Mask2FormerTargets>();
  targets->pairs = match(rounds, encoded.mask_features, truth, config_,
                         random_points(encoded.frame.draw, encoded.mask_features));
  at::Tensor own = targets->pairs;
  if (config_.method_layers == "last") {
    const auto last = static_cast<int64_t>(rounds.classes.size()) - 1;
    own = own.index_select(0, at::nonzero(own.select(1, 1) == last).flatten());
  }
  const at::Tensor table = own.to(encoded.mask_features.device());
  const at::Tensor round = table.select(1, 1), query = table.select(1, 2);
  Queries queries;
  queries.image = table.select(1, 0);
  queries.instance = table.select(1, 3);
  queries.label = table.select(1, 4);
  queries.vectors = at::stack(rounds.embeddings).index({round, queries.image, query});  // [Q, D]
  queries.anchor = at::zeros({queries.vectors.size(0), 3}, queries.vectors.options().requires_grad(false));
  queries.targets = targets;
  const torch::NoGradGuard guard;
  queries.score = at::stack(rounds.classes).index({round, queries.image, query}).softmax(1).gather(
      1, queries.label.unsqueeze(1)).squeeze(1);
  return queries;
}

Losses Mask2Former::do_base_losses(const Encoded& encoded, const Queries& queries,
                                   const std::vector<view::Instances>& truth) {
  const Mask2FormerLosses losses =
      criterion(own_state<Mask2FormerRounds>(encoded.heads), encoded.mask_features,
                own_state<Mask2FormerTargets>(queries.targets).pairs, truth, config_,
                random_points(queries.draw, encoded.mask_features));
  return {{"class", losses.classes.sum()}, {"mask", losses.mask.sum()}, {"dice", losses.dice.sum()}};
}

at::Tensor Mask2Former::do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                     const std::vector<view::Instances>& truth, const at::Tensor& valid) {
  return loose_mask_loss(queries.vectors, queries.image, queries.instance, mask_features, truth, valid, config_,
                         random_points(queries.draw, mask_features));
}

at::Tensor Mask2Former::do_cells(const at::Tensor& masks) { return quarter_masks(masks); }

std::vector<Prediction> Mask2Former::do_predict(const Encoded& encoded) {
  const auto& rounds = own_state<Mask2FormerRounds>(encoded.heads);
  std::vector<Prediction> predictions;
  for (int64_t b = 0; b < encoded.mask_features.size(0); ++b) {
    const at::Tensor probability = rounds.classes.back()[b].softmax(1).slice(1, 0, -1);  // [Q, C]
    const int64_t classes = probability.size(1);
    const at::Tensor scores = probability.flatten();
    const at::Tensor best =
        at::argsort(scores, /*stable=*/true, 0, /*descending=*/true).slice(0, 0, config_.max_detections);
    const at::Tensor vectors = rounds.embeddings.back()[b].index_select(0, best.div(classes, "floor"));
    const at::Tensor& map = encoded.mask_features[b];
    const at::Tensor masks = vectors.matmul(map.flatten(1)).view({-1, map.size(1), map.size(2)});
    predictions.push_back({scores.index_select(0, best), best.remainder(classes), masks, /*threshold=*/0.0});
  }
  return predictions;
}

// The mean probability within the mask.
at::Tensor Mask2Former::do_score_factors(const at::Tensor& masks) {
  const at::Tensor logits = masks.flatten(1);
  const at::Tensor inside = (logits > 0).to(logits.scalar_type());
  return (logits.sigmoid() * inside).sum(1) / (inside.sum(1) + 1e-6);
}

}  // namespace iuq::model
