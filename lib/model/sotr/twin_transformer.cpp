#include "lib/model/sotr/twin_transformer.h"

#include <torch/types.h>

#include <cmath>
#include <string>

#include "lib/nn/conv.h"
#include "lib/nn/linear.h"

namespace iuq::model {

/// The scaled attention of one axis.
class TwinTransformerImpl::Attention {
 public:
  Attention(torch::nn::Module& block, const std::string& name, const SotrConfig& config, bool along_height)
      : heads_(config.heads), width_(config.head_width), along_height_(along_height) {
    const auto axis = block.register_module(name, std::make_shared<torch::nn::Module>("axis"));
    const auto scaled = axis->register_module("fn", std::make_shared<torch::nn::Module>("scaled"));
    scale_ = scaled->register_parameter("g", torch::zeros(at::IntArrayRef{}));
    const auto self = scaled->register_module("fn", std::make_shared<torch::nn::Module>("attention"));
    const int64_t hidden = heads_ * width_;
    q_ = self->register_module("to_q", nn::Linear(config.channels, hidden, /*bias=*/false));
    kv_ = self->register_module("to_kv", nn::Linear(config.channels, 2 * hidden, /*bias=*/false));
    out_ = self->register_module("to_out", nn::Linear(hidden, config.channels));
  }

  at::Tensor operator()(const at::Tensor& x) {  // [B, C, H, W]
    // The axis attended along comes last but for the channels: [B, other, axis, C].
    const at::Tensor rows = along_height_ ? x.permute({0, 3, 2, 1}) : x.permute({0, 2, 3, 1});
    const std::vector<at::Tensor> kv = kv_->forward(rows).chunk(2, -1);
    const at::Tensor q = by_head(q_->forward(rows)), k = by_head(kv[0]), v = by_head(kv[1]);
    const at::Tensor weights = (q.matmul(k.transpose(-1, -2)) * std::pow(static_cast<double>(width_), -0.5)).softmax(-1);
    const at::Tensor mixed = weights.matmul(v).transpose(2, 3).flatten(3);  // [B, other, axis, heads * width]
    const at::Tensor out = scale_ * out_->forward(mixed);
    return along_height_ ? out.permute({0, 3, 2, 1}) : out.permute({0, 3, 1, 2});
  }

 private:
  // [B, other, axis, heads * width] -> [B, other, heads, axis, width]
  at::Tensor by_head(const at::Tensor& x) const { return x.unflatten(-1, {heads_, width_}).transpose(2, 3); }

  int64_t heads_, width_;
  bool along_height_;
  at::Tensor scale_;
  nn::Linear q_{nullptr}, kv_{nullptr}, out_{nullptr};
};

/// Two convolutions with a leaky ReLU between them, scaled.
class TwinTransformerImpl::ConvPair {
 public:
  ConvPair(torch::nn::Module& block, const std::string& name, const SotrConfig& config) {
    const auto scaled = block.register_module(name, std::make_shared<torch::nn::Module>("scaled"));
    scale_ = scaled->register_parameter("g", torch::zeros(at::IntArrayRef{}));
    const auto steps = scaled->register_module("fn", std::make_shared<torch::nn::Module>("steps"));
    const nn::ConvImpl::Options same{config.channels, config.channels, 3, 1, true, nn::NormKind::kNone, nn::ConvInit::kPlain};
    first_ = steps->register_module("0", nn::Conv(same));
    second_ = steps->register_module("2", nn::Conv(same));
  }

  at::Tensor operator()(const at::Tensor& x) {
    constexpr double kSlope = 0.01;
    return scale_ * second_->forward(at::leaky_relu(first_->forward(x), kSlope));
  }

 private:
  at::Tensor scale_;
  nn::Conv first_{nullptr}, second_{nullptr};
};

TwinTransformerImpl::TwinTransformerImpl(const SotrConfig& config) {
  const auto all = register_module("layers", std::make_shared<torch::nn::Module>("layers"));
  const auto blocks = all->register_module("blocks", std::make_shared<torch::nn::Module>("blocks"));
  for (int64_t k = 0; k < config.depth; ++k) {
    const auto axes = blocks->register_module(std::to_string(2 * k), std::make_shared<torch::nn::Module>("axes"));
    const auto convs = blocks->register_module(std::to_string(2 * k + 1), std::make_shared<torch::nn::Module>("convs"));
    Layer& layer = layers_.emplace_back();
    for (int64_t i = 0; i < 2; ++i) {
      layer.attention.push_back(std::make_shared<Attention>(*axes, std::to_string(i), config, i == 0));
      layer.convs.push_back(std::make_shared<ConvPair>(*convs, std::to_string(i), config));
    }
  }
}

at::Tensor TwinTransformerImpl::forward(const at::Tensor& x) {
  const int64_t width = x.size(3);
  at::Tensor twin = at::cat({x, x}, 3);  // [B, C, H, 2 W]
  for (Layer& layer : layers_) {
    twin = twin + (*layer.attention[0])(twin) + (*layer.attention[1])(twin);
    twin = twin + (*layer.convs[0])(twin) + (*layer.convs[1])(twin);
  }
  return (twin.slice(3, 0, width) + twin.slice(3, width)) / 2;
}

}  // namespace iuq::model
