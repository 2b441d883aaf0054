#pragma once

#include "lib/model/solov2/grid_segmenter.h"
#include "lib/model/solov2/heads.h"

namespace iuq::model {

/// SOLOv2 (Wang et al., 2020). Parameters carry AdelaiDet's names.
/// Source: REFERENCE.md 1 to 4; adet:adet/modeling/solov2/solov2.py.
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
