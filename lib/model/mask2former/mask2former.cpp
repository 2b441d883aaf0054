#include "lib/model/mask2former/mask2former.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/model/common.h"
#include "lib/model/mask2former/criterion.h"

namespace iuq::model {

Mask2Former::Mask2Former(const Mask2FormerConfig& config, int64_t classes) : Segmenter("Mask2Former"), config_(config) {
  backbone_ = register_module("backbone", nn::make_backbone(config.backbone));
  const auto head = register_module("sem_seg_head", std::make_shared<torch::nn::Module>("head"));
  pixel_decoder_ = head->register_module("pixel_decoder", Mask2FormerPixelDecoder(config, backbone_->channels()));
  decoder_ = head->register_module("predictor", Mask2FormerMaskedDecoder(config, classes));
}

FeaturePyramid Mask2Former::backbone(const at::Tensor& images) { return backbone_->forward(images); }

FeaturePyramid Mask2Former::neck(const FeaturePyramid& backbone) {
  FeaturePyramid neck = pixel_decoder_->levels(backbone);
  neck.insert(neck.begin(), backbone.front());
  return neck;
}

at::Tensor Mask2Former::mask_features(const FeaturePyramid& neck, const Frame&) {
  return pixel_decoder_->mask_features(neck[0], neck[1]);
}

// dense: class logits of all rounds, then their embeddings.
Encoded Mask2Former::encode(const FeaturePyramid& backbone, const Frame& frame) {
  Encoded encoded;
  encoded.frame = frame;
  encoded.neck = neck(backbone);
  encoded.mask_features = mask_features(encoded.neck, frame);
  const Mask2FormerRounds rounds =
      decoder_->forward({encoded.neck.begin() + 1, encoded.neck.end()}, encoded.mask_features);
  encoded.dense = rounds.classes;
  encoded.dense.insert(encoded.dense.end(), rounds.embeddings.begin(), rounds.embeddings.end());
  return encoded;
}

Mask2FormerRounds Mask2Former::rounds_of(const Encoded& encoded) {
  const auto middle = encoded.dense.begin() + static_cast<std::ptrdiff_t>(encoded.dense.size() / 2);
  return {{encoded.dense.begin(), middle}, {middle, encoded.dense.end()}};
}

// dense_targets: the pairs of match(), on the CPU.
Queries Mask2Former::assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) {
  IUQ_ASSERT(static_cast<int64_t>(truth.size()) == encoded.mask_features.size(0));
  const Mask2FormerRounds rounds = rounds_of(encoded);
  const uint64_t draw = encoded.frame.draw;
  const at::Tensor pairs =
      match(rounds, encoded.mask_features, truth, config_, random_points(draw, encoded.mask_features));
  at::Tensor own = pairs;
  if (config_.method_layers == "last") {
    const auto last = static_cast<int64_t>(rounds.classes.size()) - 1;
    own = pairs.index_select(0, at::nonzero(pairs.select(1, 1) == last).flatten());
  }
  const at::Tensor table = own.to(encoded.mask_features.device());
  const at::Tensor round = table.select(1, 1), query = table.select(1, 2);
  Queries queries;
  queries.draw = draw;
  queries.image = table.select(1, 0);
  queries.instance = table.select(1, 3);
  queries.label = table.select(1, 4);
  queries.vectors = at::stack(rounds.embeddings).index({round, queries.image, query});  // [Q, D]
  queries.place = at::zeros({queries.vectors.size(0), 3}, queries.vectors.options().requires_grad(false));
  queries.dense_targets = {pairs};
  const torch::NoGradGuard guard;
  queries.score = at::stack(rounds.classes).index({round, queries.image, query}).softmax(1).gather(
      1, queries.label.unsqueeze(1)).squeeze(1);
  return queries;
}

Losses Mask2Former::base_losses(const Encoded& encoded, const Queries& queries,
                                const std::vector<view::GroundTruth>& truth) {
  const Mask2FormerLosses losses =
      criterion(rounds_of(encoded), encoded.mask_features, queries.dense_targets.at(0), truth, config_,
                random_points(queries.draw, encoded.mask_features));
  return {{"class", losses.classes.sum()}, {"mask", losses.mask.sum()}, {"dice", losses.dice.sum()}};
}

at::Tensor Mask2Former::mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                  const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) {
  return loose_mask_loss(queries.vectors, queries.image, queries.instance, mask_features, truth, valid, config_,
                         random_points(queries.draw, mask_features));
}

at::Tensor Mask2Former::mask_logits(const Queries& queries, const at::Tensor& mask_features) {
  std::vector<at::Tensor> logits, rows_of;
  for (int64_t b = 0; b < mask_features.size(0); ++b) {
    rows_of.push_back(at::nonzero(queries.image == b).flatten());
    logits.push_back(queries.vectors.index_select(0, rows_of.back()).matmul(mask_features[b].flatten(1)));
  }
  const at::Tensor all = at::cat(logits).index_select(0, at::argsort(at::cat(rows_of)));  // back in the queries' order
  return all.view({-1, mask_features.size(2), mask_features.size(3)});
}

at::Tensor Mask2Former::pixel_logits(const Queries& queries, const PixelSet& pixels) {
  return queries.vectors.matmul(pixels.embeddings.t());  // [Q, P]
}

at::Tensor Mask2Former::instance_cells(const view::GroundTruth& truth) {
  return with_centre_cells(quarter_masks(truth.masks), truth.masks, mask_stride());
}

std::vector<Prediction> Mask2Former::predict(const Encoded& encoded) {
  const Mask2FormerRounds rounds = rounds_of(encoded);
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
at::Tensor Mask2Former::score_factors(const at::Tensor& masks) {
  const at::Tensor logits = masks.flatten(1);
  const at::Tensor inside = (logits > 0).to(logits.scalar_type());
  return (logits.sigmoid() * inside).sum(1) / (inside.sum(1) + 1e-6);
}

}  // namespace iuq::model
