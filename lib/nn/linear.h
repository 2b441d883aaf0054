#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "lib/nn/conv.h"

namespace iuq::nn {

/// x W^T + b with PyTorch's names and start: uniform, bound 1 / sqrt(in), the bias too unless its value is given.
class LinearImpl : public torch::nn::Module, public Initialised {
 public:
  LinearImpl(int64_t in, int64_t out, bool bias = true, std::optional<double> bias_value = {});
  at::Tensor forward(const at::Tensor& x);  // [..., in] -> [..., out] float32
  void init_(at::Generator generator) override;

 private:
  int64_t in_;
  std::optional<double> bias_value_;
  at::Tensor weight_, bias_;
};
TORCH_MODULE(Linear);

}  // namespace iuq::nn
