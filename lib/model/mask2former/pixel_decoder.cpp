#include "lib/model/mask2former/pixel_decoder.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "lib/base/error.h"
#include "lib/nn/deform_attn.h"
#include "lib/nn/linear.h"
#include "lib/nn/transformer.h"

namespace iuq::model {
namespace {

constexpr int64_t kMaps = 3;

using Shapes = std::vector<std::pair<int64_t, int64_t>>;

/// Offsets of the sampling points: they start on rays around the reference point, one per head, and do not depend on the
/// query.
class OffsetsImpl : public nn::LinearImpl {
 public:
  OffsetsImpl(int64_t in, int64_t heads, int64_t points)
      : LinearImpl(in, heads * kMaps * points * 2, /*bias=*/true, 0.0, nn::LinearInit::kZero),
        heads_(heads), points_(points) {}

  void init_(at::Generator generator) override {
    LinearImpl::init_(generator);
    const torch::NoGradGuard guard;
    constexpr double kTurn = 2 * 3.14159265358979323846;
    const at::Tensor angle = at::arange(heads_, at::kFloat) * (kTurn / static_cast<double>(heads_));
    const at::Tensor ray = at::stack({angle.cos(), angle.sin()}, 1);                       // [heads, 2]
    const at::Tensor unit = ray / std::get<0>(ray.abs().max(1, /*keepdim=*/true));
    const at::Tensor steps = at::arange(1, points_ + 1, at::kFloat).view({1, 1, points_, 1});
    const at::Tensor start = unit.view({heads_, 1, 1, 2}) * steps;
    named_parameters()["bias"].copy_(start.expand({heads_, kMaps, points_, 2}).flatten());
  }

 private:
  int64_t heads_, points_;
};
TORCH_MODULE(Offsets);

/// Owner of what the reference calls the transformer, with the row that each level adds to its positions. Weight decay
/// reaches these rows, for in the reference they are a plain parameter.
class TransformerImpl : public torch::nn::Module, public nn::Initialised {
 public:
  explicit TransformerImpl(int64_t width) { rows_ = register_parameter("level_embed", torch::zeros({kMaps, width})); }
  const at::Tensor& rows() const { return rows_; }
  void init_(at::Generator generator) override {
    const torch::NoGradGuard guard;
    rows_.normal_(0, 1, generator);
  }

 private:
  at::Tensor rows_;
};

// Middles of all cells as shares of their own map, x then y: [sum HW, 2].
at::Tensor cell_middles(const Shapes& shapes, const at::Tensor& like) {
  const auto options = like.options().dtype(at::kFloat).requires_grad(false);
  const auto middles = [&](int64_t count) { return (at::arange(count, options) + 0.5) / static_cast<double>(count); };
  std::vector<at::Tensor> points;
  for (const auto& [rows, columns] : shapes) {
    const at::Tensor x = middles(columns).unsqueeze(0).expand({rows, columns});
    const at::Tensor y = middles(rows).unsqueeze(1).expand({rows, columns});
    points.push_back(at::stack({x, y}, 2).flatten(0, 1));
  }
  return at::cat(points);
}

nn::ConvImpl::Options decoder_conv(int64_t in, int64_t out, int64_t kernel, bool bias, nn::ConvInit init) {
  return {in, out, kernel, 1, bias, nn::NormKind::kNone, init, 0};
}

}  // namespace

/// Deformable self-attention over all cells of the three levels, then a feed-forward network, each added and normalised.
class Mask2FormerPixelDecoderImpl::Layer : public torch::nn::Module {
 public:
  explicit Layer(const Mask2FormerConfig& c) : heads_(c.heads), points_(c.points) {
    const auto attention = register_module("self_attn", std::make_shared<torch::nn::Module>("attention"));
    const auto linear = [&](int64_t out, nn::LinearInit init) { return nn::Linear(c.width, out, true, 0.0, init); };
    offsets_ = attention->register_module("sampling_offsets", Offsets(c.width, c.heads, c.points));
    weights_ = attention->register_module("attention_weights", linear(c.heads * kMaps * c.points, nn::LinearInit::kZero));
    value_ = attention->register_module("value_proj", linear(c.width, nn::LinearInit::kXavier));
    out_ = attention->register_module("output_proj", linear(c.width, nn::LinearInit::kXavier));
    norm1_ = register_module("norm1", torch::nn::LayerNorm(std::vector<int64_t>{c.width}));
    linear1_ = register_module("linear1", nn::Linear(c.width, c.encoder_ffn, true, std::nullopt, nn::LinearInit::kXavier));
    linear2_ = register_module("linear2", nn::Linear(c.encoder_ffn, c.width, true, std::nullopt, nn::LinearInit::kXavier));
    norm2_ = register_module("norm2", torch::nn::LayerNorm(std::vector<int64_t>{c.width}));
  }

  // x [B, L, C], positions [L, C], middles [L, 2], sizes [levels, 2] (columns, rows)
  at::Tensor forward(const at::Tensor& x, const at::Tensor& positions, const at::Tensor& middles, const at::Tensor& sizes,
                     const Shapes& shapes) {
    const int64_t batch = x.size(0), cells = x.size(1);
    const at::Tensor query = x + positions;
    const at::Tensor value = value_->forward(x).view({batch, cells, heads_, -1});
    const at::Tensor offsets = offsets_->forward(query).view({batch, cells, heads_, kMaps, points_, 2});
    const at::Tensor locations = middles.view({cells, 1, 1, 1, 2}) + offsets / sizes.view({kMaps, 1, 2});
    const at::Tensor logits = weights_->forward(query).view({batch, cells, heads_, kMaps * points_});
    const at::Tensor weights = logits.softmax(-1).view({batch, cells, heads_, kMaps, points_});
    const at::Tensor mixed = out_->forward(nn::deform_attn(value, shapes, locations, weights));
    const at::Tensor y = norm1_->forward(x + mixed);
    return norm2_->forward(y + linear2_->forward(linear1_->forward(y).relu_()));
  }

 private:
  int64_t heads_, points_;
  Offsets offsets_{nullptr};
  nn::Linear weights_{nullptr}, value_{nullptr}, out_{nullptr}, linear1_{nullptr}, linear2_{nullptr};
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
};

Mask2FormerPixelDecoderImpl::Mask2FormerPixelDecoderImpl(const Mask2FormerConfig& config,
                                                         const std::vector<int64_t>& in_channels)
    : width_(config.width) {
  IUQ_ASSERT(in_channels.size() == kMaps + 1);
  const auto inputs = register_module("input_proj", std::make_shared<torch::nn::Module>("input_proj"));
  for (int64_t k = 0; k < kMaps; ++k) {
    const auto owner = inputs->register_module(std::to_string(k), std::make_shared<torch::nn::Module>("level"));
    const int64_t in = in_channels[static_cast<size_t>(kMaps - k)];
    const auto options = decoder_conv(in, width_, 1, true, nn::ConvInit::kGlorotUniform);
    inputs_.push_back({owner->register_module("0", nn::Conv(options)),
                       owner->register_module("1", torch::nn::GroupNorm(config.groups, width_))});
  }
  const auto transformer = register_module("transformer", std::make_shared<TransformerImpl>(width_));
  level_embed_ = transformer->rows();
  const auto encoder = transformer->register_module("encoder", std::make_shared<torch::nn::Module>("encoder"));
  const auto layers = encoder->register_module("layers", std::make_shared<torch::nn::Module>("layers"));
  for (int64_t i = 0; i < config.encoder_layers; ++i) {
    layers_.push_back(layers->register_module(std::to_string(i), std::make_shared<Layer>(config)));
  }
  const auto add = [&](const char* name, int64_t in, int64_t kernel) {
    const auto options = decoder_conv(in, width_, kernel, false, nn::ConvInit::kXavierUniform);
    nn::Conv layer = register_module(name, nn::Conv(options));
    return Normed{layer, layer->register_module("norm", torch::nn::GroupNorm(config.groups, width_))};
  };
  lateral_ = add("adapter_1", in_channels[0], 1);
  output_ = add("layer_1", width_, 3);
  mask_features_ = register_module(
      "mask_features", nn::Conv(decoder_conv(width_, config.embedding, 1, true, nn::ConvInit::kXavierUniform)));
}

std::vector<at::Tensor> Mask2FormerPixelDecoderImpl::levels(const std::vector<at::Tensor>& backbone) {
  IUQ_ASSERT(backbone.size() == kMaps + 1);
  Shapes shapes;
  std::vector<at::Tensor> cells, positions;
  std::vector<float> sizes;
  std::vector<int64_t> counts;
  for (int64_t k = 0; k < kMaps; ++k) {
    const auto index = static_cast<size_t>(k);
    const at::Tensor& map = backbone[kMaps - index];
    const int64_t rows = map.size(2), columns = map.size(3);
    shapes.emplace_back(rows, columns);
    counts.push_back(rows * columns);
    sizes.insert(sizes.end(), {static_cast<float>(columns), static_cast<float>(rows)});
    Normed& input = inputs_[index];
    cells.push_back(input.norm->forward(input.conv->forward(map)).flatten(2).transpose(1, 2));
    positions.push_back(nn::sine_positions(rows, columns, width_, map) + level_embed_[k]);
  }
  at::Tensor x = at::cat(cells, 1);                   // [B, L, C]
  const at::Tensor position = at::cat(positions, 0);  // [L, C]
  const at::Tensor middles = cell_middles(shapes, x);
  const at::Tensor size = torch::tensor(sizes, at::kFloat).view({kMaps, 2}).to(x.device());
  for (const auto& layer : layers_) x = layer->forward(x, position, middles, size, shapes);
  std::vector<at::Tensor> levels = x.transpose(1, 2).split_with_sizes(counts, 2);
  for (size_t k = 0; k < levels.size(); ++k) levels[k] = levels[k].unflatten(2, {shapes[k].first, shapes[k].second});
  std::reverse(levels.begin(), levels.end());
  return levels;
}

at::Tensor Mask2FormerPixelDecoderImpl::mask_features(const at::Tensor& finest, const at::Tensor& level) {
  const at::Tensor lateral = lateral_.norm->forward(lateral_.conv->forward(finest));
  const at::Tensor sum = lateral + nn::resize_bilinear(level, lateral.size(2), lateral.size(3));
  return mask_features_->forward(output_.norm->forward(output_.conv->forward(sum)).relu_());
}

}  // namespace iuq::model
