#include "lib/nn/linear.h"

#include <torch/types.h>

#include <cmath>

namespace iuq::nn {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool bias, std::optional<double> bias_value)
    : in_(in), bias_value_(bias_value) {
  weight_ = register_parameter("weight", torch::zeros({out, in}));
  if (bias) bias_ = register_parameter("bias", torch::zeros({out}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return at::linear(x, weight_, bias_); }

void LinearImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  const double bound = 1 / std::sqrt(static_cast<double>(in_));
  weight_.uniform_(-bound, bound, generator);
  if (!bias_.defined()) return;
  if (bias_value_) {
    bias_.fill_(*bias_value_);
  } else {
    bias_.uniform_(-bound, bound, generator);
  }
}

}  // namespace iuq::nn
