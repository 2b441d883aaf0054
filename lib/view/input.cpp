#include "lib/view/input.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/data/image.h"

namespace iuq::view {

ConfigFields JitterConfig::fields() {
  return {
      {"size", &size, "side of the square in pixels, a multiple of input.divisor; 0: off", Range::closed(0, 8192)},
      {"min_scale", &min_scale, "least factor; at 1 the image just fits into the square", Range::above(0)},
      {"max_scale", &max_scale, "greatest factor", Range::left_open(0, 10)},
      {"pad_value", &pad_value, "value of what lies right of and below the image, in all channels before normalisation",
       Range::closed(0, 255)},
  };
}

void JitterConfig::check() const {
  check_ranges(*this);
  check_config(max_scale >= min_scale, "input.lsj.max_scale", max_scale, "in [input.lsj.min_scale, 10]");
}

ConfigFields InputConfig::fields() {
  return {
      {"short_side", &short_side, "shorter side in pixels; training draws one of the list, testing takes the last",
       Range::closed(32, 8192)},
      {"long_side", &long_side, "upper bound of the longer side in pixels", Range::at_least(1)},
      {"divisor", &divisor, "canvas sizes are multiples of it; itself a multiple of 32", Range::at_least(32)},
      {"flip", &flip, "probability of a mirrored image in end-to-end training", Range::closed(0, 1)},
      {"lsj", inner_section(lsj), "large-scale jittering, in end-to-end training, instead of short_side"},
      {"order", &order, "order of the channels", Range::one_of({"RGB", "BGR"})},
      {"mean", &mean, "mean per channel in that order, of values 0..255", Range().items(3)},
      {"std", &std, "standard deviation per channel likewise", Range::above(0).items(3)},
  };
}

void InputConfig::check() const {
  check_ranges(*this);
  lsj.check();
  check_config(!short_side.empty(), "input.short_side", short_side, "a list of at least one size");
  check_config(long_side >= short_side.back(), "input.long_side", long_side, ">= input.short_side");
  check_config(divisor % 32 == 0, "input.divisor", divisor, "a multiple of 32");
  check_config(lsj.size % divisor == 0, "input.lsj.size", lsj.size, "0 (off) or a multiple of input.divisor up to 8192");
}

nlohmann::json preprocessing_json(const InputConfig& c) {
  return {{"order", c.order}, {"mean", c.mean}, {"std", c.std}};
}

void take_preprocessing(InputConfig& config, const nlohmann::json& preprocessing, const std::string& where) {
  try {
    InputConfig taken = config;
    ConfigReader read(preprocessing, "preprocessing");
    read("order", taken.order);
    read("mean", taken.mean);
    read("std", taken.std);
    read.done();
    taken.check();
    config = taken;
  } catch (const Error& e) {
    throw Error(ErrorCode::kBadData, cat("\"", where, "\": ", e.what()));
  }
}

at::Tensor to_input(const data::Pixels& pixels, const InputConfig& config, Size canvas, std::optional<double> pad_value) {
  IUQ_ASSERT(pixels.height <= canvas.height && pixels.width <= canvas.width);
  at::Tensor out = at::zeros({3, canvas.height, canvas.width}, at::kFloat);
  float* const planes = out.data_ptr<float>();
  for (int64_t c = 0; c < 3; ++c) {
    const int64_t source = config.order == "BGR" ? c : 2 - c;  // pixels are blue, green, red
    const auto mean = static_cast<float>(config.mean[static_cast<size_t>(c)]);
    const auto scale = static_cast<float>(1.0 / config.std[static_cast<size_t>(c)]);
    if (pad_value) out[c].fill_((*pad_value - config.mean[static_cast<size_t>(c)]) * scale);
    for (int64_t y = 0; y < pixels.height; ++y) {
      const uint8_t* row = pixels.bgr.data() + (y * pixels.width) * 3 + source;
      float* to = planes + (c * canvas.height + y) * canvas.width;
      for (int64_t x = 0; x < pixels.width; ++x) to[x] = (static_cast<float>(row[3 * x]) - mean) * scale;
    }
  }
  return out;
}

}  // namespace iuq::view
