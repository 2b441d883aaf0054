#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <utility>
#include <vector>

#include "lib/model/batch.h"
#include "lib/model/condinst/config.h"
#include "lib/nn/conv.h"

namespace iuq::model {

/// What the heads say of every location, level by level from p3 to p7.
struct CondInstHeads : SegmenterState {
  static constexpr const char* kOwner = "CondInst";
  std::vector<at::Tensor> classes;      // [B, C, H, W] logits
  std::vector<at::Tensor> distances;    // [B, 4, H, W] to the left, top, right, bottom side, >= 0, in strides of the level
  std::vector<at::Tensor> centerness;   // [B, 1, H, W] logits
  std::vector<at::Tensor> controllers;  // [B, Dq, H, W] the query of each location
};

/// FCOS head: two towers that all levels share; names as AdelaiDet's fcos_head. Source: REFERENCE.md 1.
class FcosHeadImpl : public torch::nn::Module {
 public:
  FcosHeadImpl(const CondInstConfig& config, int64_t classes);
  /// p3..p7. `controller` makes the queries of what the box tower gives.
  CondInstHeads forward(const std::vector<at::Tensor>& neck, const nn::Conv& controller);

 private:
  using Tower = std::vector<std::pair<nn::Conv, torch::nn::GroupNorm>>;
  Tower add_tower(const char* name, const CondInstConfig& config);

  Tower class_tower_, box_tower_;
  nn::Conv class_out_{nullptr}, box_out_{nullptr}, centerness_out_{nullptr};
  std::vector<at::Tensor> scales_;  // [1] per level
};
TORCH_MODULE(FcosHead);

/// Mask features at the stride of p3, and the auxiliary semantic head; names as AdelaiDet's mask_branch. Its batch norms
/// always use batch statistics in training, also over a frozen backbone. Source: REFERENCE.md 1.
class CondInstMaskBranchImpl : public torch::nn::Module {
 public:
  CondInstMaskBranchImpl(const CondInstConfig& config, int64_t classes);
  at::Tensor forward(const std::vector<at::Tensor>& neck);  // p3..p5 (and more) -> [B, D, H, W]
  at::Tensor semantic(const at::Tensor& p3);                // [B, C, H, W] logits; only with semantic_loss

 private:
  using Blocks = std::vector<std::pair<nn::Conv, nn::Norm>>;
  void add_block(Blocks& blocks, torch::nn::Module& owner, const std::string& name, int64_t in, int64_t out);
  static at::Tensor run(const std::pair<nn::Conv, nn::Norm>& block, const at::Tensor& x);

  Blocks refine_, tower_, semantic_;
  nn::Conv out_{nullptr}, semantic_out_{nullptr};
};
TORCH_MODULE(CondInstMaskBranch);

/// Coordinates of pixels for each query, as offset + scale * position: the positions are the same for all queries.
struct RelativeCoordinates {
  at::Tensor positions;  // [2, P] float32, x and y
  at::Tensor offset;     // [Q or 1, 2] float32
  at::Tensor scale;      // [Q or 1, 1] float32
};

/// The mask network whose weights a query is: three 1x1 layers over two relative coordinates and the mask features.
///   queries      [Q, query_width()]: weights of layers 0, 1, 2, each output by input, then their biases
///   features     [D, P]   coordinates: x, y of the query's location relative to the pixel (REFERENCE.md 1)
///   returns [Q, P] logits
at::Tensor dynamic_masks(const at::Tensor& queries, const at::Tensor& features, const RelativeCoordinates& coordinates,
                         int64_t hidden);

/// Enlarges by a whole factor so that output o shows input (o - factor/2) / factor: [B, C, H, W] -> [B, C, fH, fW].
/// Source: REFERENCE.md 1; adet:adet/utils/comm.py.
at::Tensor aligned_bilinear(const at::Tensor& x, int64_t factor);

}  // namespace iuq::model
