#include "lib/view/input.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/data/image.h"

namespace iuq::view {

void InputConfig::check() const {
  check_config(!short_side.empty(), "input.short_side", short_side, "a list of at least one size");
  for (const int64_t side : short_side) check_config(side >= 32 && side <= 8192, "input.short_side", side, "in 32..8192");
  check_config(long_side >= short_side.back(), "input.long_side", long_side, ">= input.short_side");
  check_config(divisor >= 32 && divisor % 32 == 0, "input.divisor", divisor, "a multiple of 32");
  check_config(flip >= 0 && flip <= 1, "input.flip", flip, "in [0, 1]");
  check_config(lsj.size >= 0 && lsj.size <= 8192 && lsj.size % divisor == 0, "input.lsj.size", lsj.size,
               "0 (off) or a multiple of input.divisor up to 8192");
  check_config(lsj.min_scale > 0, "input.lsj.min_scale", lsj.min_scale, "> 0");
  check_config(lsj.max_scale >= lsj.min_scale && lsj.max_scale <= 10, "input.lsj.max_scale", lsj.max_scale,
               "in [input.lsj.min_scale, 10]");
  check_config(lsj.pad_value >= 0 && lsj.pad_value <= 255, "input.lsj.pad_value", lsj.pad_value, "in [0, 255]");
  check_config(order == "RGB" || order == "BGR", "input.order", order, "\"RGB\" or \"BGR\"");
  check_config(mean.size() == 3, "input.mean", mean, "three numbers");
  check_config(std.size() == 3 && std[0] > 0 && std[1] > 0 && std[2] > 0, "input.std", std, "three numbers > 0");
}

void from_json(const nlohmann::json& j, InputConfig& config) {
  const auto read_jitter = [](const nlohmann::json& section, JitterConfig& jitter) {
    ConfigReader read(section, "input.lsj");
    read("size", jitter.size);
    read("min_scale", jitter.min_scale);
    read("max_scale", jitter.max_scale);
    read("pad_value", jitter.pad_value);
    read.done();
  };
  ConfigReader read(j, "input");
  read("short_side", config.short_side);
  read("long_side", config.long_side);
  read("divisor", config.divisor);
  read("flip", config.flip);
  read_jitter(read.section("lsj"), config.lsj);
  read("order", config.order);
  read("mean", config.mean);
  read("std", config.std);
  read.done();
  config.check();
}

void to_json(nlohmann::json& j, const InputConfig& c) {
  j = preprocessing_json(c);
  j.update({{"short_side", c.short_side}, {"long_side", c.long_side}, {"divisor", c.divisor}, {"flip", c.flip}});
  j["lsj"] = {{"size", c.lsj.size},
              {"min_scale", c.lsj.min_scale},
              {"max_scale", c.lsj.max_scale},
              {"pad_value", c.lsj.pad_value}};
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
