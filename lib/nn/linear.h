#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "lib/nn/conv.h"

namespace iuq::nn {

enum class LinearInit {
  kPlain,   // PyTorch's own: uniform, bound 1 / sqrt(in)
  kXavier,  // uniform, bound sqrt(6 / (in + out))
  kZero,
};

/// x W^T + b under PyTorch's names. The bias starts as PyTorch's does, uniform with bound 1 / sqrt(in), unless its value
/// is given.
class LinearImpl : public torch::nn::Module, public Initialised {
 public:
  LinearImpl(int64_t in, int64_t out, bool bias = true, std::optional<double> bias_value = {},
             LinearInit init = LinearInit::kPlain);
  at::Tensor forward(const at::Tensor& x);  // [..., in] -> [..., out] float32
  void init_(at::Generator generator) override;

 private:
  int64_t in_, out_;
  std::optional<double> bias_value_;
  LinearInit init_kind_;
  at::Tensor weight_, bias_;
};
TORCH_MODULE(Linear);

}  // namespace iuq::nn
