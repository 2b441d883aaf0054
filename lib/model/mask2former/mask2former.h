#pragma once

#include "lib/model/mask2former/config.h"
#include "lib/model/mask2former/masked_decoder.h"
#include "lib/model/mask2former/pixel_decoder.h"
#include "lib/model/segmenter.h"

namespace iuq::model {

/// The pairs of match(): they decide what every round is trained on.
struct Mask2FormerTargets : SegmenterState {
  static constexpr const char* kOwner = Mask2FormerRounds::kOwner;
  at::Tensor pairs;  // [M, 5] int64 on the CPU
};

/// Mask2Former (Cheng et al., 2022): learned queries that attend to their own masks, each with a class and a mask
/// embedding; there is no suppression. A query of the method is the embedding of a matched query; masks are inner products
/// with the mask features and do not depend on position, so Queries::anchor is 0. Parameters carry the reference's names.
/// Source: REFERENCE.md 1 to 5; m2f:mask2former/maskformer_model.py.
class Mask2Former : public Segmenter {
 public:
  Mask2Former(const Mask2FormerConfig& config, int64_t classes);

 protected:
  /// The backbone's finest map, then the pixel decoder's levels of strides 8, 16, 32.
  FeaturePyramid do_neck(const FeaturePyramid& backbone) override;
  at::Tensor do_mask_features(const FeaturePyramid& neck) override;
  std::shared_ptr<const SegmenterState> do_heads(const FeaturePyramid& neck, const at::Tensor& mask_features) override;
  /// Matches all rounds; the queries are those of the last round, or of all (config). Randomness: see random_points.
  /// Error(kBadData) naming the image when costs are not finite.
  Queries do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) override;
  Losses do_base_losses(const Encoded& encoded, const Queries& queries,
                        const std::vector<view::Instances>& truth) override;
  at::Tensor do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                          const std::vector<view::Instances>& truth, const at::Tensor& valid) override;
  at::Tensor do_cells(const at::Tensor& masks) override;
  std::vector<Prediction> do_predict(const Encoded& encoded) override;
  at::Tensor do_score_factors(const at::Tensor& masks) override;

 private:
  Mask2FormerConfig config_;
  Mask2FormerPixelDecoder pixel_decoder_{nullptr};
  Mask2FormerMaskedDecoder decoder_{nullptr};
};

}  // namespace iuq::model
