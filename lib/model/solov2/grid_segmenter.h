#pragma once

#include "lib/model/segmenter.h"
#include "lib/model/solov2/config.h"
#include "lib/model/solov2/heads.h"
#include "lib/nn/fpn.h"

namespace iuq::model {

/// A kernel per grid cell of five levels, applied as an inner product to a unified mask feature map at stride 4: what
/// SOLOv2 and SOTR have in common - backbone, targets, losses and inference. They differ in what computes cells and map.
/// Source: REFERENCE.md 2 to 4; lib/model/sotr/REFERENCE.md 1.
class GridSegmenter : public Segmenter {
 protected:
  GridSegmenter(const char* name, const GridConfig& config);
  virtual GridHeads grid_heads(const FeaturePyramid& neck) = 0;  // p2..p6

  FeaturePyramid do_neck(const FeaturePyramid& backbone) override;
  std::shared_ptr<const SegmenterState> do_heads(const FeaturePyramid& neck, const at::Tensor& mask_features) override;
  Queries do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) override;
  Losses do_base_losses(const Encoded& encoded, const Queries& queries,
                        const std::vector<view::Instances>& truth) override;
  at::Tensor do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                          const std::vector<view::Instances>& truth, const at::Tensor& valid) override;
  at::Tensor do_cells(const at::Tensor& masks) override;
  std::vector<Prediction> do_predict(const Encoded& encoded) override;

 private:
  /// heat: the class scores of all cells that are no less than those of their neighbours, [B, cells, C].
  Prediction predict_one(const Encoded& encoded, const at::Tensor& heat, int64_t image) const;

  GridConfig config_;
  nn::Fpn fpn_;
};

}  // namespace iuq::model
