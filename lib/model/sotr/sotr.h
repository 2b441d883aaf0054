#pragma once

#include "lib/model/solov2/grid_segmenter.h"
#include "lib/model/solov2/heads.h"
#include "lib/model/sotr/twin_transformer.h"
#include "lib/nn/linear.h"

namespace iuq::model {

/// Category and kernel of each cell, linear in what one transformer, shared by all levels, makes of the cells; names as the
/// reference's cate_head. Source: REFERENCE.md 1.
class SotrCellHeadImpl : public torch::nn::Module {
 public:
  SotrCellHeadImpl(const SotrConfig& config, int64_t classes);
  GridHeads forward(const std::vector<at::Tensor>& neck);  // p2..p6
  at::Tensor transform(const at::Tensor& x) { return transformer_->forward(x); }

 private:
  std::vector<int64_t> grids_;
  TwinTransformer transformer_{nullptr};
  nn::Linear category_{nullptr}, kernel_{nullptr};
};
TORCH_MODULE(SotrCellHead);

/// SOTR (Guo et al., ICCV 2021): SOLOv2's grid with a transformer instead of towers, and no coordinates anywhere.
class Sotr : public GridSegmenter {
 public:
  Sotr(const SotrConfig& config, int64_t classes);

 protected:
  at::Tensor do_mask_features(const FeaturePyramid& neck) override;
  GridHeads grid_heads(const FeaturePyramid& neck) override;

 private:
  SotrCellHead cell_head_{nullptr};
  Solov2MaskHead mask_head_{nullptr};
};

}  // namespace iuq::model
