#include "lib/nn/layer_norm.h"

#include <torch/types.h>

namespace iuq::nn {

LayerNormImpl::LayerNormImpl(int64_t channels) {
  weight_ = register_parameter("weight", torch::ones({channels}));
  bias_ = register_parameter("bias", torch::zeros({channels}));
}

at::Tensor LayerNormImpl::forward(const at::Tensor& x) {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, /*eps=*/1e-5);
}

}  // namespace iuq::nn
