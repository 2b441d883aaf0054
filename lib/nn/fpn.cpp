#include "lib/nn/fpn.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/nn/conv.h"

namespace iuq::nn {

Fpn::Fpn(torch::nn::Module& owner, const std::vector<int64_t>& in_channels, int64_t channels) {
  const auto add = [&](const std::string& name, int64_t in, int64_t kernel) {
    const ConvImpl::Options options{in, channels, kernel, 1, true, NormKind::kNone, ConvInit::kXavierUniform, 0};
    return owner.register_module(name, std::make_shared<ConvImpl>(options));
  };
  for (size_t l = 0; l < in_channels.size(); ++l) {
    lateral_.push_back(add(cat("fpn_lateral", l + 2), in_channels[l], 1));
    output_.push_back(add(cat("fpn_output", l + 2), channels, 3));
  }
}

std::vector<at::Tensor> Fpn::operator()(const std::vector<at::Tensor>& features) const {
  IUQ_ASSERT(features.size() == lateral_.size());
  const auto run = [](const std::shared_ptr<torch::nn::Module>& conv, const at::Tensor& x) {
    return static_cast<ConvImpl&>(*conv).forward(x);
  };
  std::vector<at::Tensor> out(features.size());
  at::Tensor merged;
  for (size_t l = features.size(); l-- > 0;) {
    const at::Tensor lateral = run(lateral_[l], features[l]);
    merged = merged.defined() ? lateral + at::upsample_nearest2d(merged, {lateral.size(2), lateral.size(3)}) : lateral;
    out[l] = run(output_[l], merged);
  }
  out.push_back(at::max_pool2d(out.back(), 1, 2));
  return out;
}

}  // namespace iuq::nn
