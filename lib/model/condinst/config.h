#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/nn/backbone_config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "condinst". Defaults are AdelaiDet's (REFERENCE.md 1 to 5). fields()
/// says what each field means.
struct CondInstConfig {
  nn::BackboneConfig backbone;
  int64_t channels = 256;
  int64_t head_convs = 4;
  int64_t groups = 32;
  int64_t mask_channels = 128;
  int64_t mask_convs = 4;
  int64_t embedding = 8;
  int64_t dynamic_channels = 8;
  int64_t mask_out_stride = 4;
  std::vector<int64_t> sizes = {64, 128, 256, 512};
  double radius = 1.5;
  int64_t max_positives = 500;
  bool semantic_loss = false;
  std::string foreign_coordinates = "overlay";
  // inference
  double score_threshold = 0.05;
  int64_t level_candidates = 1000;
  double nms_iou = 0.6;
  double mask_threshold = 0.5;
  int64_t max_detections = 100;

  /// Numbers a query consists of: weights and biases of the three dynamic layers.
  int64_t query_width() const {
    return (embedding + 2) * dynamic_channels + dynamic_channels * dynamic_channels + 3 * dynamic_channels + 1;
  }
  /// What relative coordinates of an instance on `level` are divided by, in input pixels.
  int64_t size_of_level(size_t level) const { return level < sizes.size() ? sizes[level] : 2 * sizes.back(); }

  static constexpr const char* kSection = "model";
  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::model
