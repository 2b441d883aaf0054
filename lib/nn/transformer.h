#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/nn/conv.h"
#include "lib/nn/linear.h"
#include "lib/nn/undecayed.h"

// What transformers are made of, under PyTorch's names.
namespace iuq::nn {

/// A table of learned rows: weight [rows, C], from a standard normal.
class EmbeddingImpl : public torch::nn::Module, public Initialised, public Undecayed {
 public:
  EmbeddingImpl(int64_t rows, int64_t channels);
  const at::Tensor& rows() const { return weight_; }
  void init_(at::Generator generator) override;
  std::vector<std::string> undecayed() const override { return {"weight"}; }

 private:
  at::Tensor weight_;
};
TORCH_MODULE(Embedding);

/// Dot-product attention with several heads; names in_proj_weight, in_proj_bias, out_proj. Matrices start as Xavier's
/// uniform ones, biases at 0.
class AttentionImpl : public torch::nn::Module, public Initialised {
 public:
  AttentionImpl(int64_t channels, int64_t heads);
  /// query [B, Q, C], key and value [B, L, C] -> [B, Q, C].
  ///   blocked  [B, Q, L] bool or undefined: keys that a query must not attend to, the same for all heads; not a whole row
  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& blocked);
  void init_(at::Generator generator) override;

 private:
  int64_t channels_, heads_;
  at::Tensor weight_, bias_;
  Linear out_{nullptr};
};
TORCH_MODULE(Attention);

/// Sines and cosines of a cell's position on its map: [H*W, channels] float32, row by row. The first half of the channels is
/// of the row, the second of the column; both count from 1 to a full turn at the end of the map.
/// Source: REFERENCE.md 5; m2f:mask2former/modeling/transformer_decoder/position_encoding.py (normalised, temperature
/// 10000).
at::Tensor sine_positions(int64_t height, int64_t width, int64_t channels, const at::Tensor& like);

}  // namespace iuq::nn
