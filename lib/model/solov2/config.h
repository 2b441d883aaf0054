#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/nn/backbone_config.h"

namespace iuq::model {

/// What segmenters with a query per grid cell share in section "model". Defaults are AdelaiDet's (REFERENCE.md 1 to 5).
/// fields() says what each field means.
struct GridConfig {
  nn::BackboneConfig backbone;
  int64_t channels = 256;
  int64_t mask_channels = 128;
  int64_t embedding = 256;
  int64_t groups = 32;
  std::vector<int64_t> grids = {40, 36, 24, 16, 12};
  std::vector<int64_t> scales = {1, 96, 48, 192, 96, 384, 192, 768, 384, 2048};
  double sigma = 0.2;
  double mask_weight = 3;
  // inference
  double score_threshold = 0.1;
  double mask_threshold = 0.5;
  int64_t nms_candidates = 500;
  double nms_sigma = 2;
  double update_threshold = 0.05;
  int64_t max_detections = 100;

  static constexpr const char* kSection = "model";

 protected:
  /// The name and the fields above, then `own`.
  ConfigFields with_grid_fields(const char* name, const ConfigFields& own);
  /// What concerns several of them.
  void check_grid() const;
};

/// Section "model" of the config when its "name" is "solov2".
struct Solov2Config : GridConfig {
  int64_t head_channels = 512;
  int64_t head_convs = 4;

  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::model
