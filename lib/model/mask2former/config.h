#pragma once

#include <cstdint>
#include <string>

#include "lib/base/config_fields.h"
#include "lib/nn/backbone_config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "mask2former". Defaults are the reference's for COCO instances
/// (REFERENCE.md 1 to 6). fields() says what each field means.
struct Mask2FormerConfig {
  nn::BackboneConfig backbone;
  int64_t width = 256;
  int64_t embedding = 256;
  int64_t groups = 32;
  int64_t heads = 8;
  int64_t points = 4;
  int64_t encoder_layers = 6;
  int64_t encoder_ffn = 1024;
  int64_t queries = 100;
  int64_t decoder_layers = 9;
  int64_t decoder_ffn = 2048;
  // losses and matching
  double class_weight = 2;
  double mask_weight = 5;
  double dice_weight = 5;
  double no_object_weight = 0.1;
  int64_t loss_points = 12544;
  double oversample = 3;
  double importance = 0.75;
  std::string method_layers = "last";
  // inference
  int64_t max_detections = 100;

  static constexpr const char* kSection = "model";
  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::model
