#pragma once

#include "lib/model/condinst/config.h"
#include "lib/model/condinst/heads.h"
#include "lib/model/segmenter.h"
#include "lib/nn/backbone.h"
#include "lib/nn/fpn.h"

namespace iuq::model {

/// CondInst (Tian et al., 2020): each FCOS location makes the weights of a small network, which is applied to the mask
/// features and to coordinates relative to the location. Parameters carry AdelaiDet's names. A query is such a set of
/// weights, its place the location (x, y in input pixels) and the level.
/// Source: models.md 2, adet/modeling/condinst and adet/modeling/fcos.
class CondInst : public Segmenter {
 public:
  CondInst(const CondInstConfig& config, int64_t classes);

  FeaturePyramid backbone(const at::Tensor& images) override;
  FeaturePyramid neck(const FeaturePyramid& backbone) override;
  at::Tensor mask_features(const FeaturePyramid& neck, const Frame& frame) override;
  Encoded encode(const FeaturePyramid& backbone, const Frame& frame) override;
  /// At most max_positives locations become queries; the class and box losses see all. Randomness: stream (draw of
  /// the frame, "condinst positives").
  Queries assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) override;
  Losses base_losses(const Encoded& encoded, const Queries& queries,
                     const std::vector<view::GroundTruth>& truth) override;
  at::Tensor mask_loss(const Queries& queries, const at::Tensor& mask_features,
                       const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) override;
  at::Tensor mask_logits(const Queries& queries, const at::Tensor& mask_features) override;
  at::Tensor pixel_logits(const Queries& queries, const PixelSet& pixels) override;
  at::Tensor instance_cells(const view::GroundTruth& truth) override;
  std::vector<Prediction> predict(const Encoded& encoded) override;
  at::Tensor to_canvas(const at::Tensor& masks, view::Size canvas) override;
  int64_t mask_stride() const override { return 8; }
  view::Alignment alignment() const override { return backbone_->alignment(); }
  std::vector<int64_t> backbone_channels() const override { return backbone_->channels(); }
  std::string backbone_prefix() const override { return "backbone.bottom_up."; }

 private:
  Prediction predict_one(const Encoded& encoded, const std::vector<at::Tensor>& maps, int64_t image);
  /// place [Q, 3], pixels [2, P] x and y in input pixels.
  RelativeCoordinates relative_to(const at::Tensor& place, const at::Tensor& pixels) const;
  at::Tensor sizes_of(const at::Tensor& level) const;  // [Q] float32 -> what coordinates are divided by, [Q]
  /// Masks of queries on one map: vectors [Q, Dq], place [Q, 3], map [D, H, W] -> [Q, H, W] logits.
  at::Tensor masks_on(const at::Tensor& vectors, const at::Tensor& place, const at::Tensor& map) const;
  at::Tensor semantic_loss(const Encoded& encoded, const std::vector<view::GroundTruth>& truth);

  CondInstConfig config_;
  int64_t classes_;
  std::shared_ptr<nn::Backbone> backbone_;
  nn::Fpn fpn_;
  FcosHead box_head_{nullptr};
  nn::Conv controller_{nullptr};
  CondInstMaskBranch mask_branch_{nullptr};
};

}  // namespace iuq::model
