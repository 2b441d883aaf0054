#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <vector>

#include "lib/nn/linear.h"
#include "lib/nn/undecayed.h"
#include "lib/nn/windows.h"

namespace iuq::nn {

/// Linear layer that starts as Swin's do: normal with deviation 0.02, bias 0. (The reference cuts the normal at 2, which is
/// a hundred deviations away.)
class SwinLinearImpl : public LinearImpl {
 public:
  using LinearImpl::LinearImpl;
  void init_(at::Generator generator) override;
};
TORCH_MODULE(SwinLinear);

/// Attention among the N tokens of each window, with a learned bias for each relative position.
class WindowAttentionImpl : public torch::nn::Module, public Initialised, public Undecayed {
 public:
  WindowAttentionImpl(int64_t channels, int64_t heads, int64_t side);
  /// What is added to the scores before softmax, by kind of window: [1 or 4, heads, N, N].
  at::Tensor bias(const WindowPlan& plan);
  /// rows [n * N, C] of n windows, kind [n] or undefined (all are of kind 0) -> values by head, before `project`: [n * N, C]
  at::Tensor mix(const at::Tensor& rows, const at::Tensor& bias, const at::Tensor& kind);
  at::Tensor project(const at::Tensor& rows) { return proj_->forward(rows); }
  void init_(at::Generator generator) override;
  std::vector<std::string> undecayed() const override { return {"relative_position_bias_table"}; }

 private:
  int64_t heads_, slots_;
  at::Tensor table_;     // [(2 side - 1)^2, heads]
  at::Tensor position_;  // [N * N] int64, rows of table_
  SwinLinear qkv_{nullptr}, proj_{nullptr};
};
TORCH_MODULE(WindowAttention);

/// Pre-norm block: x + drop(attention(norm1(x))), then x + drop(mlp(norm2(x))).
class SwinBlockImpl : public torch::nn::Module {
 public:
  SwinBlockImpl(int64_t channels, int64_t heads, int64_t side);
  /// x [B * H * W, C], which may be overwritten; kept [2, B] float32, what the two branches of each image are multiplied with,
  /// or undefined for 1.
  at::Tensor forward(const at::Tensor& x, const WindowPlan& plan, const at::Tensor& kept);

 private:
  at::Tensor mlp(const at::Tensor& rows);
  at::Tensor forward_recorded(const at::Tensor& x, const WindowPlan& plan, const at::Tensor& kept);
  void add_attention_(at::Tensor& x, const WindowPlan& plan);
  void add_mlp_(at::Tensor& x);

  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  WindowAttention attention_{nullptr};
  SwinLinear fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(SwinBlock);

/// Between stages: 2x2 tokens become one of twice the width. A last row or column without a partner gets zeros.
class PatchMergingImpl : public torch::nn::Module {
 public:
  explicit PatchMergingImpl(int64_t channels);
  at::Tensor forward(const at::Tensor& x, int64_t batch, view::Size& map);  // [B*H*W, C] -> [B*H'*W', 2C]; map becomes H', W'

 private:
  torch::nn::LayerNorm norm_{nullptr};
  SwinLinear reduction_{nullptr};
};
TORCH_MODULE(PatchMerging);

}  // namespace iuq::nn
