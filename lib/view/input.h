#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/view/transform.h"

namespace iuq::data {
struct Pixels;
}

namespace iuq::view {

/// Section "input.lsj": large-scale jittering (Ghiasi et al. 2021), an augmentation of end-to-end training. Each image is
/// resized by a factor of its own, and a square of a fixed size is cut out at random or filled up.
struct JitterConfig {
  int64_t size = 0;        // side of the square in pixels; 0: off
  double min_scale = 0.1;  // the factor is uniform in [min_scale, max_scale]; at 1 the image just fits into the square
  double max_scale = 2;
  double pad_value = 128;  // of what lies right of and below the image, in all channels before normalisation, 0..255
};

/// Section "input": how pixels become the network's input. Goes into every checkpoint (key "preprocessing").
struct InputConfig {
  std::vector<int64_t> short_side = {800};  // shorter side in pixels; training draws one of the list, testing takes the last
  int64_t long_side = 1333;                 // upper bound of the longer side in pixels
  int64_t divisor = 32;                     // canvas sizes are multiples of it (and of 32)
  double flip = 0.5;                        // probability of a mirrored image in end-to-end training
  JitterConfig lsj;                         // in end-to-end training, instead of short_side
  std::string order = "RGB";                // channel order "RGB" or "BGR"
  std::vector<double> mean = {123.675, 116.28, 103.53};  // per channel in that order, 0..255
  std::vector<double> std = {58.395, 57.12, 57.375};
  void check() const;
};
void from_json(const nlohmann::json& j, InputConfig& config);
void to_json(nlohmann::json& j, const InputConfig& config);
/// The part that belongs to the weights: {"order", "mean", "std"}.
nlohmann::json preprocessing_json(const InputConfig& config);
/// Takes order, mean and std from a checkpoint's metadata. Error(kBadData) naming `where`.
void take_preprocessing(InputConfig& config, const nlohmann::json& preprocessing, const std::string& where);

/// pixels (already resized) -> [3, canvas] float32, normalised, padded right and below with a value of 0..255 in all
/// channels or, without one, with 0 (the mean colour).
at::Tensor to_input(const data::Pixels& pixels, const InputConfig& config, Size canvas,
                    std::optional<double> pad_value = {});

}  // namespace iuq::view
