#pragma once

#include "lib/model/condinst/config.h"
#include "tests/unit/model/parity.h"

// CondInst against fixtures of scripts/gen_fixtures_{condinst,coco}.py.
namespace iuq::test {

using model::CondInstConfig;
using model::Encoded;
using model::Frame;

constexpr int64_t kStride = 8;  // of the finest level

inline Frame frame_of(view::Size canvas, int64_t batch) {
  return {canvas, std::vector<view::Size>(static_cast<size_t>(batch), canvas)};
}

inline std::vector<view::Size> level_sizes(view::Size canvas) {
  std::vector<view::Size> sizes = {{canvas.height / kStride, canvas.width / kStride}};
  while (sizes.size() < 5) sizes.push_back({(sizes.back().height + 1) / 2, (sizes.back().width + 1) / 2});
  return sizes;
}

// The generator's dense_of.
inline Encoded dense_of(const std::string& tag, view::Size canvas, int64_t batch, int64_t classes) {
  struct Kind {
    const char* name;
    int64_t width;
    double low, high;
  };
  Encoded encoded;
  encoded.frame = frame_of(canvas, batch);
  for (const Kind& kind : {Kind{"class", classes, -6, 1}, Kind{"box", 4, 0, 4}, Kind{"centerness", 1, -2, 2},
                           Kind{"controller", 169, -0.5, 0.5}}) {
    const auto sizes = level_sizes(canvas);
    for (size_t l = 0; l < sizes.size(); ++l) {
      encoded.dense.push_back(formula(tag + kind.name + std::to_string(l),
                                      {batch, kind.width, sizes[l].height, sizes[l].width}, kind.low, kind.high));
    }
  }
  encoded.mask_features = formula(tag + "features", {batch, 8, canvas.height / 8, canvas.width / 8}, -1, 1);
  return encoded;
}

inline CondInstConfig small_config() {
  CondInstConfig config;
  config.backbone.choice = nn::ResNetConfig{.name = "resnet10", .width = 8};
  config.channels = 32;
  config.mask_out_stride = 2;  // as the reference that made the numbers
  return config;
}

}  // namespace iuq::test
