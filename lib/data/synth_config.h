#pragma once

#include <cstdint>
#include <string>

#include "lib/base/config_fields.h"

namespace iuq::data {

/// The built-in "lookalikes" data set; section "synth" of a config. fields() says what each field means.
struct SynthConfig {
  int64_t images = 400;
  int64_t val_images = 100;
  int64_t height = 128;
  int64_t width = 128;
  int64_t categories = 0;
  int64_t min_instances = 3;
  int64_t max_instances = 8;
  double min_size = 0.13;
  double max_size = 0.45;
  double similarity = 0.7;
  double occlusion = 0.5;
  std::string format = "coco";
  double tail = 2.0;
  uint64_t seed = 0;  // the config's own, no part of the section

  bool is_lvis() const { return format == "lvis"; }
  int64_t category_count() const { return categories > 0 ? categories : is_lvis() ? 12 : 6; }

  static constexpr const char* kSection = "synth";
  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::data
