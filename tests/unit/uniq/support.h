#pragma once

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/rng.h"
#include "lib/model/segmenter.h"
#include "tests/support/normal.h"

// A segmenter small enough for unit tests, with scenes of rectangles.
namespace iuq::test {

inline nlohmann::json tiny_model() {
  return nlohmann::json::parse(R"({"name": "solov2",
    "backbone": {"name": "resnet10", "width": 8, "norm": "frozen", "freeze": 0},
    "channels": 16, "head_channels": 16, "head_convs": 1, "mask_channels": 16, "embedding": 16, "groups": 4,
    "grids": [8, 8, 6, 4, 4], "scales": [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048]})");
}

inline at::Tensor noise(uint64_t seed, std::vector<int64_t> shape) {
  at::Tensor out = torch::empty(shape, at::kFloat);
  Rng rng(seed, "noise");
  float* data = out.data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(normal(rng));
  return out;
}

// Rectangles that do not touch the border.
inline view::Instances rectangles(int64_t image_id, int64_t count, view::Size canvas) {
  view::Instances truth;
  truth.image_id = image_id;
  truth.masks = torch::zeros({count, canvas.height, canvas.width}, at::kBool);
  std::vector<int64_t> labels;
  Rng rng(static_cast<uint64_t>(image_id), "rectangles");
  for (int64_t n = 0; n < count; ++n) {
    const int64_t h = 12 + rng.below(20), w = 12 + rng.below(20);
    const int64_t y = 2 + rng.below(canvas.height - h - 4), x = 2 + rng.below(canvas.width - w - 4);
    truth.masks[n].slice(0, y, y + h).slice(1, x, x + w).fill_(true);
    labels.push_back(rng.below(3));
    truth.instance_ids.push_back(image_id * 100 + n);
  }
  truth.labels = torch::tensor(labels, at::kLong);
  return truth;
}

// Sum of the absolute gradients of the parameters whose names begin with `prefix`.
inline double gradient_of(const model::Segmenter& segmenter, const std::string& prefix) {
  double size = 0;
  for (const auto& item : segmenter.named_parameters()) {
    const bool mine = item.key().rfind(prefix, 0) == 0 && item.value().grad().defined();
    if (mine) size += item.value().grad().abs().sum().item<double>();
  }
  return size;
}

struct TinyBatch {
  std::shared_ptr<model::Segmenter> segmenter;
  std::vector<view::Instances> truth;
  model::FeaturePyramid backbone;
  model::Encoded encoded;
  model::Queries queries;
};

inline TinyBatch tiny_batch(std::vector<view::Instances> truth, const at::Tensor& images,
                            const nlohmann::json& config = tiny_model()) {
  TinyBatch batch;
  batch.segmenter = model::make_segmenter(config, 3, 1);
  batch.truth = std::move(truth);
  batch.backbone = batch.segmenter->backbone(images);
  const view::Size canvas{images.size(2), images.size(3)};
  batch.encoded = batch.segmenter->encode(
      batch.backbone, {canvas, std::vector<view::Size>(static_cast<size_t>(images.size(0)), canvas)});
  batch.queries = batch.segmenter->assign(batch.encoded, batch.truth);
  return batch;
}

}  // namespace iuq::test
