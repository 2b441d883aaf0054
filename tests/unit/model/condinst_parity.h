#pragma once

#include "lib/model/condinst/heads.h"
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

// What the generator calls dense_of.
inline Encoded encoded_of(const std::string& tag, view::Size canvas, int64_t batch, int64_t classes) {
  Encoded encoded;
  encoded.frame = frame_of(canvas, batch);
  const auto maps = [&](const char* name, int64_t width, double low, double high) {
    std::vector<at::Tensor> levels;
    for (const view::Size& size : level_sizes(canvas)) {
      const std::string full = tag + name + std::to_string(levels.size());
      levels.push_back(formula(full, {batch, width, size.height, size.width}, low, high));
    }
    return levels;
  };
  const auto heads = std::make_shared<model::CondInstHeads>();
  heads->classes = maps("class", classes, -6, 1);
  heads->distances = maps("box", 4, 0, 4);
  heads->centerness = maps("centerness", 1, -2, 2);
  heads->controllers = maps("controller", 169, -0.5, 0.5);
  encoded.heads = heads;
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
