#include "lib/model/mask2former/masked_decoder.h"

#include <torch/types.h>

#include <string>

#include "lib/base/error.h"
#include "lib/nn/conv.h"

namespace iuq::model {
namespace {

constexpr size_t kDecoderLevels = 3;
constexpr int64_t kMaskLayers = 3;

// Cells outside each query's mask, seen at a level's size: [B, Q, D], [B, D, L] -> [B, Q, L] bool. The mask features come
// resized: the inner product and bilinear resizing are both linear, so this is the resized mask, at a fraction of the work.
at::Tensor blocked_cells(const at::Tensor& embeddings, const at::Tensor& features) {
  const at::Tensor outside = embeddings.detach().matmul(features) < 0;
  return outside.logical_and(outside.all(2, /*keepdim=*/true).logical_not());
}

}  // namespace

Mask2FormerMaskedDecoderImpl::Mask2FormerMaskedDecoderImpl(const Mask2FormerConfig& config, int64_t classes)
    : width_(config.width) {
  const auto list = [&](const char* name) {
    return register_module(name, std::make_shared<torch::nn::Module>("layers"));
  };
  const auto self = list("transformer_self_attention_layers");
  const auto cross = list("transformer_cross_attention_layers");
  const auto ffn = list("transformer_ffn_layers");
  const auto linear = [](int64_t in, int64_t out) {
    return nn::Linear(in, out, /*bias=*/true, std::nullopt, nn::LinearInit::kXavier);
  };
  const auto norm = [this] { return torch::nn::LayerNorm(std::vector<int64_t>{width_}); };
  for (int64_t i = 0; i < config.decoder_layers; ++i) {
    const auto part = [&](torch::nn::Module& owner) {
      return owner.register_module(std::to_string(i), std::make_shared<torch::nn::Module>("layer"));
    };
    const auto c = part(*cross), s = part(*self), f = part(*ffn);
    layers_.push_back({c->register_module("multihead_attn", nn::Attention(width_, config.heads)),
                       s->register_module("self_attn", nn::Attention(width_, config.heads)),
                       c->register_module("norm", norm()), s->register_module("norm", norm()),
                       f->register_module("norm", norm()),
                       f->register_module("linear1", linear(width_, config.decoder_ffn)),
                       f->register_module("linear2", linear(config.decoder_ffn, width_))});
  }
  norm_ = register_module("decoder_norm", norm());
  query_feat_ = register_module("query_feat", nn::Embedding(config.queries, width_));
  query_embed_ = register_module("query_embed", nn::Embedding(config.queries, width_));
  level_embed_ = register_module("level_embed", nn::Embedding(static_cast<int64_t>(kDecoderLevels), width_));
  class_embed_ = register_module("class_embed", nn::Linear(width_, classes + 1));
  const auto embed = register_module("mask_embed", std::make_shared<torch::nn::Module>("mask_embed"));
  const auto embed_layers = embed->register_module("layers", std::make_shared<torch::nn::Module>("layers"));
  for (int64_t i = 0; i < kMaskLayers; ++i) {
    const int64_t out = i + 1 < kMaskLayers ? width_ : config.embedding;
    mask_embed_.push_back(embed_layers->register_module(std::to_string(i), nn::Linear(width_, out)));
  }
}

void Mask2FormerMaskedDecoderImpl::predict(const at::Tensor& queries, Mask2FormerRounds& rounds) {
  const at::Tensor x = norm_->forward(queries);
  rounds.classes.push_back(class_embed_->forward(x));
  const at::Tensor hidden = mask_embed_[1]->forward(mask_embed_[0]->forward(x).relu_()).relu_();
  rounds.embeddings.push_back(mask_embed_[2]->forward(hidden));
}

Mask2FormerRounds Mask2FormerMaskedDecoderImpl::forward(const std::vector<at::Tensor>& levels,
                                                        const at::Tensor& mask_features) {
  IUQ_ASSERT(levels.size() == kDecoderLevels);
  std::vector<at::Tensor> values, keys, features;  // coarsest level first: [B, L, C], [B, L, C], [B, D, L]
  for (size_t k = 0; k < kDecoderLevels; ++k) {
    const at::Tensor& map = levels[kDecoderLevels - 1 - k];
    const at::Tensor cells = map.flatten(2).transpose(1, 2) + level_embed_->rows()[static_cast<int64_t>(k)];
    values.push_back(cells);
    keys.push_back(cells + nn::sine_positions(map.size(2), map.size(3), width_, map));
    features.push_back(nn::resize_bilinear(mask_features.detach(), map.size(2), map.size(3)).flatten(2));
  }
  const at::Tensor position = query_embed_->rows();  // [Q, C] learned, added to queries and keys of each attention
  at::Tensor x = query_feat_->rows().unsqueeze(0).expand({mask_features.size(0), -1, -1});
  Mask2FormerRounds rounds;
  predict(x, rounds);
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const size_t k = i % kDecoderLevels;
    const at::Tensor blocked = blocked_cells(rounds.embeddings.back(), features[k]);
    x = layer.cross_norm->forward(x + layer.cross->forward(x + position, keys[k], values[k], blocked));
    const at::Tensor with_position = x + position;
    x = layer.self_norm->forward(x + layer.self->forward(with_position, with_position, x, {}));
    x = layer.ffn_norm->forward(x + layer.linear2->forward(layer.linear1->forward(x).relu_()));
    predict(x, rounds);
  }
  return rounds;
}

}  // namespace iuq::model
