#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lib/nn/backbone_config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "mask2former". Defaults are the reference's for COCO instances
/// (models.md 5).
struct Mask2FormerConfig {
  nn::BackboneConfig backbone;
  int64_t width = 256;           // channels of pixel decoder and transformer
  int64_t embedding = 256;       // D, width of the mask features
  int64_t groups = 32;           // of the group norms
  int64_t heads = 8;             // of every attention
  int64_t points = 4;            // that a head of the pixel decoder reads on each level
  int64_t encoder_layers = 6;    // of the pixel decoder
  int64_t encoder_ffn = 1024;    // hidden width of their feed-forward networks
  int64_t queries = 100;         // Q
  int64_t decoder_layers = 9;    // the reference's "DEC_LAYERS: 10" counts the prediction before the first one too
  int64_t decoder_ffn = 2048;
  // losses and matching
  double class_weight = 2;
  double mask_weight = 5;        // of the cross entropy on points
  double dice_weight = 5;
  double no_object_weight = 0.1; // of unmatched queries in the class loss
  int64_t loss_points = 12544;   // per mask, for the losses and for matching
  double oversample = 3;         // candidates per point
  double importance = 0.75;      // share of the points that are the least certain candidates, in [0, 1]
  std::string method_layers = "last";  // whose matched queries the method sees: "last" or "all"
  // inference
  int64_t max_detections = 100;  // per image
  void check() const;
};
void from_json(const nlohmann::json& j, Mask2FormerConfig& config);
void to_json(nlohmann::json& j, const Mask2FormerConfig& config);

}  // namespace iuq::model
