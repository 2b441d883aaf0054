#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace iuq::data {

/// The built-in "lookalikes" data set; section "synth" of a config.
struct SynthConfig {
  int64_t images = 400;          // training images, 1..200000
  int64_t val_images = 100;      // validation images, 0..200000
  int64_t height = 128;          // pixels, 32..4096
  int64_t width = 128;
  int64_t categories = 0;        // kinds of shapes, 1..12; 0: 6 for coco, 12 for lvis
  int64_t min_instances = 3;     // per image, >= 1
  int64_t max_instances = 8;     // <= 100
  double min_size = 0.13;        // diameter of an instance as a fraction of the image's short side, (0, 1]
  double max_size = 0.45;
  double similarity = 0.7;       // chance that an instance wears one of the looks that many scenes share, [0, 1]
  double occlusion = 0.5;        // no instance is hidden by more than this fraction, [0, 0.7]
  std::string format = "coco";   // "coco", or "lvis": long-tailed categories, federated labels
  double tail = 2.0;             // lvis: category k is drawn with weight (k + 1)^-tail, [0, 4]
  uint64_t seed = 0;             // set from the recipe's seed

  bool is_lvis() const { return format == "lvis"; }
  int64_t category_count() const { return categories > 0 ? categories : is_lvis() ? 12 : 6; }
  void check() const;  // Error(kConfig) with field, value and range
};

/// Reads the section "synth" without checking the ranges; `seed` is not part of it. Error(kConfig).
SynthConfig read_synth_config(const nlohmann::json& section);
nlohmann::json to_json(const SynthConfig& config);  // with the seed

}  // namespace iuq::data
