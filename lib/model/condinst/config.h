#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/nn/backbone_config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "condinst". Defaults are AdelaiDet's (models.md 2, "adet").
struct CondInstConfig {
  nn::BackboneConfig backbone;
  int64_t channels = 256;          // of the FPN and of the towers of the box head
  int64_t head_convs = 4;          // layers in each tower
  int64_t groups = 32;             // of the towers' group norms
  int64_t mask_channels = 128;     // inside the mask branch
  int64_t mask_convs = 4;          // layers of its tower
  int64_t embedding = 8;           // D, width of the mask features
  int64_t dynamic_channels = 8;    // hidden width of the three dynamic layers
  int64_t mask_out_stride = 4;     // of the mask loss and of predicted masks: 1, 2, 4 or 8 input pixels per cell
  std::vector<int64_t> sizes = {64, 128, 256, 512};  // largest box side distance of levels 0..3, and what coordinates
                                                     // are divided by, in input pixels; level 4 has twice the last
  double radius = 1.5;             // half side of the centre region, in strides of the level
  int64_t max_positives = 500;     // locations per batch that become queries, drawn at random
  bool semantic_loss = false;      // auxiliary loss on the finest level, with layers that only training uses
  std::string foreign_coordinates = "overlay";  // where pixels of other images lie for a query: "overlay" as if in its
                                                // own image, "own" to their own instance, "zero" at the query
  // inference
  double score_threshold = 0.05;   // class score times centerness; below are dropped
  int64_t level_candidates = 1000; // boxes per level that enter suppression
  double nms_iou = 0.6;            // boxes of one class that overlap more are suppressed
  double mask_threshold = 0.5;     // foreground probability
  int64_t max_detections = 100;    // per image
  void check() const;
  /// Numbers a query consists of: weights and biases of the three dynamic layers.
  int64_t query_width() const {
    return (embedding + 2) * dynamic_channels + dynamic_channels * dynamic_channels + 3 * dynamic_channels + 1;
  }
  /// What relative coordinates of an instance on `level` are divided by, in input pixels.
  int64_t size_of_level(size_t level) const { return level < sizes.size() ? sizes[level] : 2 * sizes.back(); }
};
void from_json(const nlohmann::json& j, CondInstConfig& config);
void to_json(nlohmann::json& j, const CondInstConfig& config);

}  // namespace iuq::model
