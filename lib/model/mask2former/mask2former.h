#pragma once

#include "lib/model/mask2former/config.h"
#include "lib/model/mask2former/masked_decoder.h"
#include "lib/model/mask2former/pixel_decoder.h"
#include "lib/model/segmenter.h"
#include "lib/nn/backbone.h"

namespace iuq::model {

/// Mask2Former (Cheng et al., 2022): learned queries that attend to their own masks, each with a class and a mask
/// embedding; there is no suppression. A query of the method is the embedding of a matched query; masks are inner products
/// with the mask features and know no place, so Queries::place is 0. Parameters carry the reference's names.
/// Source: models.md 5, m2f/modeling.
class Mask2Former : public Segmenter {
 public:
  Mask2Former(const Mask2FormerConfig& config, int64_t classes);

  FeaturePyramid backbone(const at::Tensor& images) override;
  /// The backbone's finest map, then the pixel decoder's levels of strides 8, 16, 32.
  FeaturePyramid neck(const FeaturePyramid& backbone) override;
  at::Tensor mask_features(const FeaturePyramid& neck, const Frame& frame) override;
  Encoded encode(const FeaturePyramid& backbone, const Frame& frame) override;
  /// Matches all rounds; the queries are those of the last round, or of all (config). Randomness: see random_points.
  /// Error(kBadData) naming the image when costs are not finite.
  Queries assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) override;
  Losses base_losses(const Encoded& encoded, const Queries& queries,
                     const std::vector<view::GroundTruth>& truth) override;
  at::Tensor mask_loss(const Queries& queries, const at::Tensor& mask_features,
                       const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) override;
  at::Tensor mask_logits(const Queries& queries, const at::Tensor& mask_features) override;
  at::Tensor pixel_logits(const Queries& queries, const PixelSet& pixels) override;
  at::Tensor instance_cells(const view::GroundTruth& truth) override;
  std::vector<Prediction> predict(const Encoded& encoded) override;
  at::Tensor score_factors(const at::Tensor& masks) override;
  int64_t mask_stride() const override { return 4; }
  view::Alignment alignment() const override { return backbone_->alignment(); }
  std::vector<int64_t> backbone_channels() const override { return backbone_->channels(); }
  std::string backbone_prefix() const override { return "backbone."; }

  /// Rounds in the form that Encoded::dense has.
  static Mask2FormerRounds rounds_of(const Encoded& encoded);

 private:
  Mask2FormerConfig config_;
  std::shared_ptr<nn::Backbone> backbone_;
  Mask2FormerPixelDecoder pixel_decoder_{nullptr};
  Mask2FormerMaskedDecoder decoder_{nullptr};
};

}  // namespace iuq::model
