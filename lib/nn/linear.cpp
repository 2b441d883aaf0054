#include "lib/nn/linear.h"

#include <torch/types.h>

#include <cmath>

namespace iuq::nn {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool bias, std::optional<double> bias_value, LinearInit init)
    : in_(in), out_(out), bias_value_(bias_value), init_kind_(init) {
  weight_ = register_parameter("weight", torch::zeros({out, in}));
  if (bias) bias_ = register_parameter("bias", torch::zeros({out}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return at::linear(x, weight_, bias_); }

void LinearImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  const double bound = 1 / std::sqrt(static_cast<double>(in_));
  if (init_kind_ == LinearInit::kZero) {
    weight_.zero_();
  } else {
    const double limit = init_kind_ == LinearInit::kXavier ? std::sqrt(6 / static_cast<double>(in_ + out_)) : bound;
    weight_.uniform_(-limit, limit, generator);
  }
  if (!bias_.defined()) return;
  if (bias_value_) {
    bias_.fill_(*bias_value_);
  } else {
    bias_.uniform_(-bound, bound, generator);
  }
}

}  // namespace iuq::nn
