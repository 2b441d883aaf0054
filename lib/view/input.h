#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/view/transform.h"

namespace iuq::data {
struct Pixels;
}

namespace iuq::view {

/// Section "input.lsj": large-scale jittering (Ghiasi et al. 2021), an augmentation of end-to-end training. Each image is
/// resized by a factor of its own, and a square of a fixed size is cut out at random or filled up.
struct JitterConfig {
  int64_t size = 0;
  double min_scale = 0.1;
  double max_scale = 2;
  double pad_value = 128;

  static constexpr const char* kSection = "input.lsj";
  ConfigFields fields();
  void check() const;
};

/// Section "input": how pixels become the network's input. Goes into every checkpoint (key "preprocessing"). fields() says
/// what each field means.
struct InputConfig {
  std::vector<int64_t> short_side = {800};
  int64_t long_side = 1333;
  int64_t divisor = 32;
  double flip = 0.5;
  JitterConfig lsj;
  std::string order = "RGB";
  std::vector<double> mean = {123.675, 116.28, 103.53};
  std::vector<double> std = {58.395, 57.12, 57.375};

  static constexpr const char* kSection = "input";
  ConfigFields fields();
  void check() const;
};
/// The part that belongs to the weights: {"order", "mean", "std"}.
nlohmann::json preprocessing_json(const InputConfig& config);
/// Takes order, mean and std from a checkpoint's metadata. Error(kBadData) naming `where`.
void take_preprocessing(InputConfig& config, const nlohmann::json& preprocessing, const std::string& where);

/// pixels (already resized) -> [3, canvas] float32, normalised, padded right and below with a value of 0..255 in all
/// channels or, without one, with 0 (the mean colour).
at::Tensor to_input(const data::Pixels& pixels, const InputConfig& config, Size canvas,
                    std::optional<double> pad_value = {});

}  // namespace iuq::view
