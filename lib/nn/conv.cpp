#include "lib/nn/conv.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <cmath>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/nn/small_conv.h"

namespace iuq::nn {
namespace {

constexpr double kEps = 1e-5;
constexpr int64_t kFewCells = 32 * 32;

}  // namespace

void init_modules_(torch::nn::Module& root, uint64_t seed) {
  for (const auto& item : root.named_modules("", /*include_self=*/false)) {
    if (auto* module = dynamic_cast<Initialised*>(item.value().get())) {
      module->init_(at::detail::createCPUGenerator(Rng(seed, "init " + item.key()).next()));
    }
  }
}

NormKind norm_kind(const std::string& name) {
  if (name == "frozen") return NormKind::kFrozen;
  if (name == "batch") return NormKind::kBatch;
  throw Error(ErrorCode::kConfig, cat("config: \"model.norm\" is \"", name, "\", must be \"frozen\" or \"batch\""));
}

NormImpl::NormImpl(int64_t channels, NormKind kind) : kind_(kind) {
  const auto add = [&](const char* name, const at::Tensor& value, bool trains) {
    return trains ? register_parameter(name, value) : register_buffer(name, value);
  };
  const bool trains = kind == NormKind::kBatch;
  weight_ = add("weight", torch::ones({channels}), trains);
  bias_ = add("bias", torch::zeros({channels}), trains);
  mean_ = add("running_mean", torch::zeros({channels}), false);
  // detectron2's untouched frozen norm is the identity.
  var_ = add("running_var", torch::full({channels}, trains ? 1.0 : 1.0 - kEps), false);
}

at::Tensor NormImpl::forward(const at::Tensor& x) {
  return at::batch_norm(x, weight_, bias_, mean_, var_, /*training=*/!is_affine(), /*momentum=*/0.1, kEps,
                        /*cudnn_enabled=*/true);
}

at::Tensor NormImpl::scale() const { return weight_ * (var_ + kEps).rsqrt(); }

at::Tensor NormImpl::shift(const at::Tensor& scale) const { return bias_ - mean_ * scale; }

ConvImpl::ConvImpl(const Options& options) : options_(options) {
  weight_ = register_parameter("weight", torch::zeros({options.out, options.in, options.kernel, options.kernel}));
  if (options.bias) bias_ = register_parameter("bias", torch::full({options.out}, options.bias_value));
  if (options.norm != NormKind::kNone) norm_ = register_module("norm", Norm(options.out, options.norm));
}

at::Tensor ConvImpl::forward(const at::Tensor& map) {
  // Channels last is what the CPU's convolutions and resizes compute in: they need not reorder each map. On large maps the
  // norms lose by it what the convolutions gain.
  const bool reorder = map.is_cpu() && map.size(2) * map.size(3) <= kFewCells;
  const at::Tensor x = reorder ? map.contiguous(at::MemoryFormat::ChannelsLast) : map;
  const int64_t padding = options_.kernel / 2;
  const int64_t cells = x.size(2) * x.size(3) / (options_.stride * options_.stride);
  if (norm_ && norm_->is_affine() && cells > options_.in * options_.kernel * options_.kernel) {
    const at::Tensor scale = norm_->scale(), shift = norm_->shift(scale);
    const at::Tensor bias = bias_.defined() ? bias_ * scale + shift : shift;
    return at::conv2d(x, weight_ * scale.view({-1, 1, 1, 1}), bias, options_.stride, padding);
  }
  const at::Tensor y = is_small_conv(x, weight_, options_.stride) ? small_conv2d(x, weight_, bias_, options_.stride)
                                                                  : at::conv2d(x, weight_, bias_, options_.stride, padding);
  return norm_ ? norm_->forward(y) : y;
}

void ConvImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  const auto area = static_cast<double>(options_.kernel * options_.kernel);
  if (bias_.defined()) bias_.fill_(options_.bias_value);
  switch (options_.init) {
    case ConvInit::kHeFanOut:
      weight_.normal_(0, std::sqrt(2.0 / (area * static_cast<double>(options_.out))), generator);
      break;
    case ConvInit::kXavierUniform: {
      const double bound = std::sqrt(3.0 / (area * static_cast<double>(options_.in)));
      weight_.uniform_(-bound, bound, generator);
      break;
    }
    case ConvInit::kGlorotUniform: {
      const double bound = std::sqrt(6.0 / (area * static_cast<double>(options_.in + options_.out)));
      weight_.uniform_(-bound, bound, generator);
      break;
    }
    case ConvInit::kSmall:
      weight_.normal_(0, 0.01, generator);
      break;
    case ConvInit::kPlain: {
      const double bound = std::sqrt(1.0 / (area * static_cast<double>(options_.in)));
      weight_.uniform_(-bound, bound, generator);
      if (bias_.defined() && options_.bias_value == 0) bias_.uniform_(-bound, bound, generator);
      break;
    }
  }
}

at::Tensor with_coordinates(const at::Tensor& x) {
  const int64_t height = x.size(2);
  const int64_t width = x.size(3);
  const at::Tensor column = at::linspace(-1, 1, width, x.options()).view({1, 1, 1, width});
  const at::Tensor row = at::linspace(-1, 1, height, x.options()).view({1, 1, height, 1});
  return at::cat({x, column.expand({x.size(0), 1, height, width}), row.expand({x.size(0), 1, height, width})}, 1);
}

at::Tensor resize_bilinear(const at::Tensor& x, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
}

}  // namespace iuq::nn
