#pragma once

#include "lib/model/segmenter.h"
#include "lib/model/solov2/config.h"
#include "lib/model/solov2/heads.h"
#include "lib/nn/fpn.h"
#include "lib/nn/resnet.h"

namespace iuq::model {

/// SOLOv2 (Wang et al., 2020): a kernel per grid cell, applied as an inner product to a unified mask feature map.
/// Parameters carry AdelaiDet's names. Source: models.md 3, adet/modeling/solov2.
class Solov2 : public Segmenter {
 public:
  Solov2(const Solov2Config& config, int64_t classes);

  FeaturePyramid backbone(const at::Tensor& images) override;
  FeaturePyramid neck(const FeaturePyramid& backbone) override;
  at::Tensor mask_features(const FeaturePyramid& neck, const Frame& frame) override;
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
  view::Alignment alignment() const override { return view::Alignment::kStrided; }
  std::vector<int64_t> backbone_channels() const override { return resnet_->channels(); }
  std::string backbone_prefix() const override { return "backbone.bottom_up."; }

 private:
  Prediction predict_one(const Encoded& encoded, const std::vector<at::Tensor>& heat, int64_t image);

  Solov2Config config_;
  int64_t classes_;
  nn::ResNet resnet_{nullptr};
  nn::Fpn fpn_;
  Solov2InstanceHead instance_head_{nullptr};
  Solov2MaskHead mask_head_{nullptr};
};

}  // namespace iuq::model
