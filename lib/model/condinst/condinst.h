#pragma once

#include "lib/model/condinst/config.h"
#include "lib/model/condinst/heads.h"
#include "lib/model/segmenter.h"
#include "lib/nn/fpn.h"

namespace iuq::model {

/// CondInst (Tian et al., 2020): each FCOS location makes the weights of a small network, which is applied to the mask
/// features and to coordinates relative to the location. Parameters carry AdelaiDet's names. A query is such a set of
/// weights, its anchor the location (x, y in input pixels) and the level.
/// Source: REFERENCE.md 1 to 4; adet:adet/modeling/condinst/condinst.py; adet:adet/modeling/fcos/fcos.py.
class CondInst : public Segmenter {
 public:
  CondInst(const CondInstConfig& config, int64_t classes);

 protected:
  FeaturePyramid do_neck(const FeaturePyramid& backbone) override;
  at::Tensor do_mask_features(const FeaturePyramid& neck) override;
  std::shared_ptr<const SegmenterState> do_heads(const FeaturePyramid& neck, const at::Tensor& mask_features) override;
  /// At most max_positives locations become queries; the class and box losses see all. Randomness: stream (draw of
  /// the frame, "condinst positives").
  Queries do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) override;
  Losses do_base_losses(const Encoded& encoded, const Queries& queries,
                        const std::vector<view::Instances>& truth) override;
  at::Tensor do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                          const std::vector<view::Instances>& truth, const at::Tensor& valid) override;
  at::Tensor do_cells(const at::Tensor& masks) override;
  std::vector<Prediction> do_predict(const Encoded& encoded) override;
  at::Tensor do_mask_logits(const Queries& queries, const at::Tensor& map) override;
  at::Tensor do_pixel_logits(const Queries& queries, const PixelSet& pixels) override;
  at::Tensor do_to_canvas(const at::Tensor& masks, view::Size canvas) override;

 private:
  /// maps: class score times centerness at each level, [B, C, H, W].
  Prediction predict_one(const Encoded& encoded, const std::vector<at::Tensor>& maps, int64_t image);
  /// anchor [Q, 3], pixels [2, P] x and y in input pixels.
  RelativeCoordinates relative_to(const at::Tensor& anchor, const at::Tensor& pixels) const;
  at::Tensor sizes_of(const at::Tensor& level) const;  // [Q] float32 -> what coordinates are divided by, [Q]
  at::Tensor semantic_loss(const Encoded& encoded, const std::vector<view::Instances>& truth);

  CondInstConfig config_;
  int64_t classes_;
  nn::Fpn fpn_;
  FcosHead box_head_{nullptr};
  nn::Conv controller_{nullptr};
  CondInstMaskBranch mask_branch_{nullptr};
};

}  // namespace iuq::model
