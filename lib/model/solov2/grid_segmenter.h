#pragma once

#include "lib/model/segmenter.h"
#include "lib/model/solov2/config.h"
#include "lib/nn/backbone.h"
#include "lib/nn/fpn.h"

namespace iuq::model {

/// A kernel per grid cell of five levels, applied as an inner product to a unified mask feature map at stride 4: what
/// SOLOv2 and SOTR have in common - backbone, targets, losses and inference. They differ in what computes cells and map.
/// Source: models.md 3.3 to 3.5 and 4.
class GridSegmenter : public Segmenter {
 public:
  FeaturePyramid backbone(const at::Tensor& images) override;
  FeaturePyramid neck(const FeaturePyramid& backbone) override;
  Encoded encode(const FeaturePyramid& backbone, const Frame& frame) override;
  Queries assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) override;
  Losses base_losses(const Encoded& encoded, const Queries& queries,
                     const std::vector<view::GroundTruth>& truth) override;
  at::Tensor mask_loss(const Queries& queries, const at::Tensor& mask_features,
                       const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) override;
  at::Tensor mask_logits(const Queries& queries, const at::Tensor& mask_features) override;
  at::Tensor pixel_logits(const Queries& queries, const PixelSet& pixels) override;
  at::Tensor instance_cells(const view::GroundTruth& truth) override;
  std::vector<Prediction> predict(const Encoded& encoded) override;
  int64_t mask_stride() const override { return 4; }
  view::Alignment alignment() const override { return backbone_->alignment(); }
  std::vector<int64_t> backbone_channels() const override { return backbone_->channels(); }
  std::string backbone_prefix() const override { return "backbone.bottom_up."; }

 protected:
  GridSegmenter(const char* name, const GridConfig& config, int64_t classes);
  /// p2..p6 -> five class maps [B, C, S, S] (logits), then five kernel maps [B, D, S, S].
  virtual std::vector<at::Tensor> cells(const FeaturePyramid& neck) = 0;

 private:
  Prediction predict_one(const Encoded& encoded, const std::vector<at::Tensor>& heat, int64_t image);

  GridConfig config_;
  int64_t classes_;
  std::shared_ptr<nn::Backbone> backbone_;
  nn::Fpn fpn_;
};

}  // namespace iuq::model
