#pragma once

#include "lib/model/solov2/grid_segmenter.h"
#include "lib/model/solov2/heads.h"

namespace iuq::model {

/// SOLOv2 (Wang et al., 2020). Parameters carry AdelaiDet's names. Source: models.md 3, adet/modeling/solov2.
class Solov2 : public GridSegmenter {
 public:
  Solov2(const Solov2Config& config, int64_t classes);

 protected:
  at::Tensor do_mask_features(const FeaturePyramid& neck) override;
  GridHeads grid_heads(const FeaturePyramid& neck) override;

 private:
  Solov2InstanceHead instance_head_{nullptr};
  Solov2MaskHead mask_head_{nullptr};
};

}  // namespace iuq::model
