#include "lib/nn/transformer.h"

#include <torch/types.h>

#include <cmath>
#include <limits>

namespace iuq::nn {

EmbeddingImpl::EmbeddingImpl(int64_t rows, int64_t channels) {
  weight_ = register_parameter("weight", torch::zeros({rows, channels}));
}

void EmbeddingImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  weight_.normal_(0, 1, generator);
}

AttentionImpl::AttentionImpl(int64_t channels, int64_t heads) : channels_(channels), heads_(heads) {
  weight_ = register_parameter("in_proj_weight", torch::zeros({3 * channels, channels}));
  bias_ = register_parameter("in_proj_bias", torch::zeros({3 * channels}));
  out_ = register_module("out_proj", Linear(channels, channels, /*bias=*/true, 0.0, LinearInit::kXavier));
}

at::Tensor AttentionImpl::forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& blocked) {
  const auto project = [&](const at::Tensor& x, int64_t part) {  // [B, n, C] -> [B, heads, n, C/heads]
    const int64_t first = part * channels_, last = first + channels_;
    const at::Tensor y = at::linear(x, weight_.slice(0, first, last), bias_.slice(0, first, last));
    return y.view({y.size(0), y.size(1), heads_, -1}).transpose(1, 2);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(channels_ / heads_));
  at::Tensor scores = (project(query, 0) * scale).matmul(project(key, 1).transpose(2, 3));  // [B, heads, Q, L]
  if (blocked.defined()) scores = scores.masked_fill(blocked.unsqueeze(1), -std::numeric_limits<double>::infinity());
  const at::Tensor mixed = scores.softmax(-1).matmul(project(value, 2));  // [B, heads, Q, C/heads]
  return out_->forward(mixed.transpose(1, 2).flatten(2));
}

void AttentionImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  const double bound = std::sqrt(6 / static_cast<double>(4 * channels_));  // of the three matrices as one
  weight_.uniform_(-bound, bound, generator);
  bias_.zero_();
}

at::Tensor sine_positions(int64_t height, int64_t width, int64_t channels, const at::Tensor& like) {
  constexpr double kTurn = 2 * 3.14159265358979323846, kTemperature = 10000, kEps = 1e-6;
  const int64_t half = channels / 2;
  const auto options = like.options().dtype(at::kFloat).requires_grad(false);
  const at::Tensor order = at::arange(half, options).div(2, "floor") * 2 / static_cast<double>(half);
  const at::Tensor lengths = at::pow(at::Scalar(kTemperature), order);
  const auto axis = [&](int64_t count) {  // [count, half]: sine, cosine, sine, ...
    const at::Tensor turn = at::arange(1, count + 1, options) / (static_cast<double>(count) + kEps) * kTurn;
    const at::Tensor angle = turn.unsqueeze(1) / lengths;
    return at::stack({angle.slice(1, 0, half, 2).sin(), angle.slice(1, 1, half, 2).cos()}, 2).flatten(1);
  };
  const at::Tensor rows = axis(height).unsqueeze(1).expand({height, width, half});
  const at::Tensor columns = axis(width).unsqueeze(0).expand({height, width, half});
  return at::cat({rows, columns}, 2).flatten(0, 1);
}

}  // namespace iuq::nn
