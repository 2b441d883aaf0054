#include "lib/model/segmenter.h"

#include <torch/types.h>

#include <utility>

#include "lib/base/error.h"
#include "lib/model/common.h"
#include "lib/nn/backbone.h"
#include "lib/nn/conv.h"
#include "lib/view/shape.h"

namespace iuq::model {
namespace {

using view::expect_count;
using view::expect_shape;

constexpr int64_t kFirstStride = 4;  // of the backbone's maps; each next one has twice the stride

int64_t covered(int64_t pixels, int64_t stride) { return (pixels + stride - 1) / stride; }

void check_truth(const view::Instances& truth, view::Size canvas, int64_t image) {
  expect_shape(truth.labels, {truth.count()}, at::kLong, "truth[].labels", image);
  expect_shape(truth.masks, {truth.count(), canvas.height, canvas.width}, at::kBool, "truth[].masks", image);
}

}  // namespace

Segmenter::Segmenter(const Traits& traits, std::shared_ptr<nn::Backbone> backbone)
    : Module(traits.name), traits_(traits), backbone_(std::move(backbone)) {
  IUQ_ASSERT(traits.mask_stride > 0 && traits.mask_channels > 0 && traits.query_width > 0 && backbone_ != nullptr);
  torch::nn::Module* owner = this;
  size_t begin = 0;
  for (size_t dot; (dot = traits.backbone_prefix.find('.', begin)) != std::string::npos; begin = dot + 1) {
    const std::string name = traits.backbone_prefix.substr(begin, dot - begin);
    if (dot + 1 == traits.backbone_prefix.size()) owner->register_module(name, backbone_);
    else owner = owner->register_module(name, std::make_shared<Module>(name)).get();
  }
  IUQ_ASSERT(begin > 0 && begin == traits.backbone_prefix.size());
}

view::Alignment Segmenter::alignment() const { return backbone_->alignment(); }

std::vector<int64_t> Segmenter::backbone_channels() const { return backbone_->channels(); }

int64_t Segmenter::cells(int64_t pixels) const { return covered(pixels, mask_stride()); }

void Segmenter::check(const Encoded& encoded) const {
  const view::Size canvas = encoded.frame.canvas;
  expect_shape(encoded.mask_features,
               {std::ssize(encoded.frame.valid), mask_channels(), cells(canvas.height), cells(canvas.width)}, at::kFloat,
               "encoded.mask_features");
}

void Segmenter::check(const Encoded& encoded, const std::vector<view::Instances>& truth) const {
  check(encoded);
  expect_count(truth.size(), encoded.frame.valid.size(), "truth");
  for (size_t b = 0; b < truth.size(); ++b) check_truth(truth[b], encoded.frame.canvas, static_cast<int64_t>(b));
}

FeaturePyramid Segmenter::backbone(const at::Tensor& images) {
  expect_shape(images, {-1, 3, -1, -1}, at::kFloat, "images");
  return backbone_->forward(images);
}

FeaturePyramid Segmenter::neck(const FeaturePyramid& backbone) {
  const std::vector<int64_t> channels = backbone_channels();
  expect_count(backbone.size(), channels.size(), "backbone");
  for (size_t l = 0; l < channels.size(); ++l) {
    const int64_t batch = l == 0 ? -1 : backbone[0].size(0);
    expect_shape(backbone[l], {batch, channels[l], -1, -1}, at::kFloat, "backbone[]", static_cast<int64_t>(l));
  }
  return do_neck(backbone);
}

at::Tensor Segmenter::mask_features(const FeaturePyramid& neck, const Frame& frame) {
  const int64_t batch = std::ssize(frame.valid);
  for (size_t l = 0; l < neck.size(); ++l) {
    if (neck[l].defined()) expect_shape(neck[l], {batch, -1, -1, -1}, at::kFloat, "neck[]", static_cast<int64_t>(l));
  }
  const at::Tensor features = do_mask_features(neck);
  expect_shape(features, {batch, mask_channels(), cells(frame.canvas.height), cells(frame.canvas.width)}, at::kFloat,
               "mask_features");
  return features;
}

Encoded Segmenter::encode(const FeaturePyramid& backbone, const Frame& frame) {
  const int64_t batch = std::ssize(frame.valid);
  for (size_t l = 0; l < backbone.size(); ++l) {
    const int64_t stride = kFirstStride << l;
    expect_shape(backbone[l], {batch, -1, covered(frame.canvas.height, stride), covered(frame.canvas.width, stride)},
                 at::kFloat, "backbone[]", static_cast<int64_t>(l));
  }
  Encoded encoded;
  encoded.frame = frame;
  encoded.neck = neck(backbone);
  encoded.mask_features = mask_features(encoded.neck, frame);
  encoded.heads = do_heads(encoded.neck, encoded.mask_features);
  return encoded;
}

Queries Segmenter::assign(const Encoded& encoded, const std::vector<view::Instances>& truth) {
  check(encoded, truth);
  Queries queries = do_assign(encoded, truth);
  queries.draw = encoded.frame.draw;
  queries.check(query_width());
  return queries;
}

Losses Segmenter::base_losses(const Encoded& encoded, const Queries& queries,
                              const std::vector<view::Instances>& truth) {
  check(encoded, truth);
  queries.check(query_width());
  Losses losses = do_base_losses(encoded, queries, truth);
  for (const auto& [name, value] : losses) expect_shape(value, {}, at::kFloat, name);
  return losses;
}

at::Tensor Segmenter::mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                const std::vector<view::Instances>& truth, const at::Tensor& valid) {
  queries.check(query_width());
  const int64_t batch = std::ssize(truth);
  expect_shape(mask_features, {batch, mask_channels(), -1, -1}, at::kFloat, "mask_features");
  for (size_t b = 0; b < truth.size(); ++b) {
    check_truth(truth[b], {-1, -1}, static_cast<int64_t>(b));
    const int64_t height = cells(truth[b].masks.size(1)), width = cells(truth[b].masks.size(2));
    expect_shape(mask_features, {batch, -1, height, width}, at::kFloat, "mask_features");
  }
  if (valid.defined()) {
    expect_shape(valid, {batch, mask_features.size(2), mask_features.size(3)}, at::kBool, "valid");
  }
  const at::Tensor loss = do_mask_loss(queries, mask_features, truth, valid);
  expect_shape(loss, {}, at::kFloat, "mask_loss");
  return loss;
}

at::Tensor Segmenter::mask_logits(const Queries& queries, const at::Tensor& mask_features) {
  queries.check(query_width());
  expect_shape(mask_features, {-1, mask_channels(), -1, -1}, at::kFloat, "mask_features");
  std::vector<at::Tensor> logits, rows_of;
  for (int64_t b = 0; b < mask_features.size(0); ++b) {
    rows_of.push_back(at::nonzero(queries.image == b).flatten());
    logits.push_back(do_mask_logits(queries.rows(rows_of.back()), mask_features[b]));
  }
  return at::cat(logits).index_select(0, at::argsort(at::cat(rows_of)));  // back in the queries' order
}

at::Tensor Segmenter::pixel_logits(const Queries& queries, const PixelSet& pixels) {
  queries.check(query_width());
  pixels.check(mask_channels());
  const at::Tensor logits = do_pixel_logits(queries, pixels);
  expect_shape(logits, {queries.count(), pixels.count()}, at::kFloat, "pixel_logits");
  return logits;
}

at::Tensor Segmenter::instance_cells(const view::Instances& truth) {
  check_truth(truth, {-1, -1}, 0);
  const at::Tensor cells_of = do_cells(truth.masks);
  expect_shape(cells_of, {truth.count(), cells(truth.masks.size(1)), cells(truth.masks.size(2))}, at::kBool,
               "instance_cells");
  return with_centre_cells(cells_of, truth.masks, mask_stride());
}

std::vector<Prediction> Segmenter::predict(const Encoded& encoded) {
  check(encoded);
  std::vector<Prediction> predictions = do_predict(encoded);
  expect_count(predictions.size(), encoded.frame.valid.size(), "predictions");
  for (const Prediction& found : predictions) {
    expect_shape(found.scores, {-1}, at::kFloat, "prediction.scores");
    expect_shape(found.labels, {found.scores.size(0)}, at::kLong, "prediction.labels");
    expect_shape(found.masks, {found.scores.size(0), -1, -1}, at::kFloat, "prediction.masks");
  }
  return predictions;
}

at::Tensor Segmenter::to_canvas(const at::Tensor& masks, view::Size canvas) {
  expect_shape(masks, {-1, -1, -1}, at::kFloat, "masks");
  const at::Tensor large = do_to_canvas(masks, canvas);
  expect_shape(large, {masks.size(0), canvas.height, canvas.width}, at::kFloat, "to_canvas");
  return large;
}

at::Tensor Segmenter::score_factors(const at::Tensor& masks) {
  expect_shape(masks, {-1, -1, -1}, at::kFloat, "masks");
  const at::Tensor factors = do_score_factors(masks);
  expect_shape(factors, {masks.size(0)}, at::kFloat, "score_factors");
  return factors;
}

at::Tensor Segmenter::do_mask_logits(const Queries& queries, const at::Tensor& map) {
  return queries.vectors.matmul(map.flatten(1)).view({-1, map.size(1), map.size(2)});
}

at::Tensor Segmenter::do_pixel_logits(const Queries& queries, const PixelSet& pixels) {
  return queries.vectors.matmul(pixels.embeddings.t());
}

at::Tensor Segmenter::do_to_canvas(const at::Tensor& masks, view::Size canvas) {
  return nn::resize_bilinear(masks.unsqueeze(1), canvas.height, canvas.width).squeeze(1);
}

at::Tensor Segmenter::do_score_factors(const at::Tensor& masks) {
  return at::ones({masks.size(0)}, masks.options());
}

}  // namespace iuq::model
