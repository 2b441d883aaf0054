#include "lib/model/sotr/sotr.h"

#include <torch/types.h>

#include <cmath>

namespace iuq::model {
namespace {

const double kCellPrior = -std::log(99.0);  // bias of a class score that starts at 0.01

}  // namespace

SotrCellHeadImpl::SotrCellHeadImpl(const SotrConfig& config, int64_t classes) : grids_(config.grids) {
  transformer_ = register_module("transformer", TwinTransformer(config));
  category_ = register_module("cate_pred", nn::Linear(config.channels, classes, true, kCellPrior));
  kernel_ = register_module("kernel_pred", nn::Linear(config.channels, config.embedding));
}

GridHeads SotrCellHeadImpl::forward(const std::vector<at::Tensor>& neck) {
  const std::vector<at::Tensor> levels = split_levels(neck);
  GridHeads heads;
  for (size_t l = 0; l < levels.size(); ++l) {
    const at::Tensor cells = transform(nn::resize_bilinear(levels[l], grids_[l], grids_[l])).permute({0, 2, 3, 1});
    heads.classes.push_back(category_->forward(cells).permute({0, 3, 1, 2}));
    heads.kernels.push_back(kernel_->forward(cells).permute({0, 3, 1, 2}));
  }
  return heads;
}

Sotr::Sotr(const SotrConfig& config, int64_t classes) : GridSegmenter("Sotr", config) {
  cell_head_ = register_module("cate_head", SotrCellHead(config, classes));
  mask_head_ = register_module("mask_head", Solov2MaskHead(config, /*with_coordinates=*/false));
}

at::Tensor Sotr::do_mask_features(const FeaturePyramid& neck) {
  FeaturePyramid levels = neck;
  levels[3] = cell_head_->transform(neck[3]);
  return mask_head_->forward(levels);
}

GridHeads Sotr::grid_heads(const FeaturePyramid& neck) { return cell_head_->forward(neck); }

}  // namespace iuq::model
