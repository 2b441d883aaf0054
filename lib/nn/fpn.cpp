#include "lib/nn/fpn.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/nn/conv.h"

namespace iuq::nn {

namespace {

at::Tensor run(const std::shared_ptr<torch::nn::Module>& conv, const at::Tensor& x) {
  return static_cast<ConvImpl&>(*conv).forward(x);
}

}  // namespace

Fpn::Fpn(torch::nn::Module& owner, const std::vector<int64_t>& in_channels, int64_t channels, FpnTop top) {
  const auto add = [&](torch::nn::Module& to, const std::string& name, int64_t in, int64_t kernel, int64_t stride) {
    const ConvImpl::Options options{in, channels, kernel, stride, true, NormKind::kNone, ConvInit::kXavierUniform, 0};
    return to.register_module(name, std::make_shared<ConvImpl>(options));
  };
  const size_t finest = 6 - in_channels.size();
  for (size_t l = 0; l < in_channels.size(); ++l) {
    lateral_.push_back(add(owner, cat("fpn_lateral", l + finest), in_channels[l], 1, 1));
    output_.push_back(add(owner, cat("fpn_output", l + finest), channels, 3, 1));
  }
  if (top == FpnTop::kSubsample) return;
  const auto block = owner.register_module("top_block", std::make_shared<torch::nn::Module>("top_block"));
  for (const char* name : {"p6", "p7"}) top_.push_back(add(*block, name, channels, 3, 2));
}

std::vector<at::Tensor> Fpn::operator()(const std::vector<at::Tensor>& features) const {
  IUQ_ASSERT(features.size() == lateral_.size());
  std::vector<at::Tensor> out(features.size());
  at::Tensor merged;
  for (size_t l = features.size(); l-- > 0;) {
    const at::Tensor lateral = run(lateral_[l], features[l]);
    merged = merged.defined() ? lateral + at::upsample_nearest2d(merged, {lateral.size(2), lateral.size(3)}) : lateral;
    out[l] = run(output_[l], merged);
  }
  if (top_.empty()) {
    out.push_back(at::max_pool2d(out.back(), 1, 2));
  } else {
    out.push_back(run(top_[0], out.back()));
    out.push_back(run(top_[1], out.back().relu()));
  }
  return out;
}

}  // namespace iuq::nn
