#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lib/nn/backbone_config.h"

namespace iuq {
class ConfigReader;
}

namespace iuq::model {

/// What segmenters with a query per grid cell share in section "model". Defaults are AdelaiDet's (models.md 3, "adet").
struct GridConfig {
  nn::BackboneConfig backbone;
  int64_t channels = 256;        // of the FPN
  int64_t mask_channels = 128;   // inside the mask branch
  int64_t embedding = 256;       // D, width of kernels and mask features
  int64_t groups = 32;           // of every group norm
  std::vector<int64_t> grids = {40, 36, 24, 16, 12};  // cells per side, finest level first; five
  std::vector<int64_t> scales = {1, 96, 48, 192, 96, 384, 192, 768, 384, 2048};  // lower, upper sqrt(w*h) px per level
  double sigma = 0.2;            // centre region as a share of the box
  double mask_weight = 3;        // of the dice loss
  // inference
  double score_threshold = 0.1;   // cells below are dropped
  double mask_threshold = 0.5;    // foreground probability
  int64_t nms_candidates = 500;   // masks that enter matrix NMS
  double nms_sigma = 2;           // Gaussian decay
  double update_threshold = 0.05; // decayed scores below are dropped
  int64_t max_detections = 100;   // per image

 protected:
  void check_grid() const;
  void read_grid(ConfigReader& read);
  nlohmann::json grid_json(const char* name) const;
};

/// Section "model" of the config when its "name" is "solov2".
struct Solov2Config : GridConfig {
  int64_t head_channels = 512;   // of the category and kernel towers
  int64_t head_convs = 4;        // layers in each tower

  void read(ConfigReader& read);
  nlohmann::json json() const;
};
void from_json(const nlohmann::json& j, Solov2Config& config);
void to_json(nlohmann::json& j, const Solov2Config& config);

}  // namespace iuq::model
