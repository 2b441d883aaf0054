#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace iuq::nn {

/// Layer norm over the last axis under the names weight and bias, [C]; eps 1e-5; starts as 1 and 0.
class LayerNormImpl : public torch::nn::Module {
 public:
  explicit LayerNormImpl(int64_t channels);
  at::Tensor forward(const at::Tensor& x);  // [..., C] -> same

 private:
  at::Tensor weight_, bias_;
};
TORCH_MODULE(LayerNorm);

}  // namespace iuq::nn
