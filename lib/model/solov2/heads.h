#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "lib/model/batch.h"
#include "lib/model/solov2/config.h"
#include "lib/nn/conv.h"

namespace iuq::model {

/// What the heads of a grid segmenter say of every cell of five levels, finest first.
struct GridHeads : SegmenterState {
  static constexpr const char* kOwner = "SOLOv2 or SOTR";
  std::vector<at::Tensor> classes;  // [B, C, S, S] logits
  std::vector<at::Tensor> kernels;  // [B, D, S, S]
};

/// p2..p6 as the cell branches take them: p2 at half its size, p6 at p5's. Source: REFERENCE.md 1.
std::vector<at::Tensor> split_levels(const std::vector<at::Tensor>& neck);

/// Category and kernel branches on the grids of five levels; names as AdelaiDet's ins_head. Source: REFERENCE.md 1.
class Solov2InstanceHeadImpl : public torch::nn::Module {
 public:
  Solov2InstanceHeadImpl(const Solov2Config& config, int64_t classes);
  GridHeads forward(const std::vector<at::Tensor>& neck);  // p2..p6

 private:
  using Tower = std::vector<std::pair<nn::Conv, torch::nn::GroupNorm>>;
  Tower add_tower(const char* name, int64_t in, const Solov2Config& config);
  static at::Tensor run(const Tower& tower, at::Tensor x);

  std::vector<int64_t> grids_;
  Tower category_, kernel_;
  nn::Conv category_out_{nullptr}, kernel_out_{nullptr};
};
TORCH_MODULE(Solov2InstanceHead);

/// Unified mask features at stride 4; names as AdelaiDet's mask_head. Source: REFERENCE.md 1.
class Solov2MaskHeadImpl : public torch::nn::Module {
 public:
  /// `with_coordinates`: appended to p5.
  Solov2MaskHeadImpl(const GridConfig& config, bool with_coordinates);
  /// p2..p6 (p6 is not used) -> [B, D, H, W] float32 >= 0 at stride 4.
  at::Tensor forward(const std::vector<at::Tensor>& neck);

 private:
  struct Step {
    nn::Conv conv;
    torch::nn::GroupNorm norm;
  };
  bool with_coordinates_;
  std::vector<std::vector<Step>> levels_;
  nn::Conv out_{nullptr};
  torch::nn::GroupNorm out_norm_{nullptr};
};
TORCH_MODULE(Solov2MaskHead);

}  // namespace iuq::model
