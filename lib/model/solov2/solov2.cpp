#include "lib/model/solov2/solov2.h"

namespace iuq::model {

Solov2::Solov2(const Solov2Config& config, int64_t classes) : GridSegmenter("Solov2", config) {
  instance_head_ = register_module("ins_head", Solov2InstanceHead(config, classes));
  mask_head_ = register_module("mask_head", Solov2MaskHead(config, /*with_coordinates=*/true));
}

at::Tensor Solov2::do_mask_features(const FeaturePyramid& neck) { return mask_head_->forward(neck); }

GridHeads Solov2::grid_heads(const FeaturePyramid& neck) { return instance_head_->forward(neck); }

}  // namespace iuq::model
