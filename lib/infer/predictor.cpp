#include "lib/infer/predictor.h"

#include <torch/types.h>

#include <algorithm>

#include "lib/nn/conv.h"

namespace iuq::infer {
namespace {

constexpr int64_t kMasksAtOnce = 16;  // bounds the memory of full-size masks

// Soft masks on the canvas [K, Hi, Wi] -> [K, original]. First cut to the image, then resized to its size: the order
// matters at the borders (models.md 3.5 step 5).
at::Tensor full_masks(const at::Tensor& soft, view::Size valid, view::Size original) {
  at::Tensor masks = soft.unsqueeze(1).slice(2, 0, valid.height).slice(3, 0, valid.width);
  if (!(valid == original)) masks = nn::resize_bilinear(masks, original.height, original.width);
  return masks.squeeze(1);
}

}  // namespace

Predictor::Predictor(model::Checkpoint checkpoint, c10::Device device)
    : checkpoint_(std::move(checkpoint)), device_(device) {
  checkpoint_.segmenter->to(device_);
  checkpoint_.segmenter->eval();
}

std::vector<Detection> Predictor::detect(const at::Tensor& image, view::Size valid, view::Size original,
                                         int64_t max_detections) {
  const torch::NoGradGuard guard;
  const auto features = checkpoint_.segmenter->backbone(image.unsqueeze(0).to(device_));
  return finish(features, {{image.size(1), image.size(2)}, {valid}}, original, max_detections);
}

std::vector<Detection> Predictor::detect_features(const std::vector<at::Tensor>& levels, view::Size canvas,
                                                  view::Size valid, view::Size original, int64_t max_detections) {
  const torch::NoGradGuard guard;
  model::FeaturePyramid features;
  for (const at::Tensor& level : levels) features.push_back(level.unsqueeze(0).to(device_));
  return finish(features, {canvas, {valid}}, original, max_detections);
}

std::vector<Detection> Predictor::finish(const model::FeaturePyramid& features, const model::Frame& frame,
                                         view::Size original, int64_t max_detections) {
  model::Segmenter& segmenter = *checkpoint_.segmenter;
  const model::Prediction found = segmenter.predict(segmenter.encode(features, frame)).at(0);
  const at::Tensor scores = found.scores.to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor labels = found.labels.to(at::kCPU).contiguous();
  const int64_t count = std::min(found.scores.size(0), max_detections);
  const view::Size valid = frame.valid[0];
  std::vector<Detection> detections;
  for (int64_t first = 0; first < count; first += kMasksAtOnce) {
    const int64_t last = std::min(first + kMasksAtOnce, count);
    const at::Tensor soft = segmenter.to_canvas(found.masks.slice(0, first, last), frame.canvas);
    const at::Tensor full = full_masks(soft, valid, original);
    const at::Tensor masks = (full > found.threshold).to(at::kCPU).contiguous();
    const at::Tensor factors = segmenter.score_factors(full).to(at::kCPU, at::kDouble);
    for (int64_t k = first; k < last; ++k) {
      const at::Tensor bytes = masks[k - first].to(at::kByte).contiguous();
      Detection detection;
      detection.score = scores.data_ptr<double>()[k] * factors[k - first].item<double>();
      detection.category = labels.data_ptr<int64_t>()[k];
      detection.mask = mask::encode(bytes.data_ptr<uint8_t>(), original.height, original.width);
      if (mask::area(detection.mask) > 0) detections.push_back(std::move(detection));
    }
  }
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  return detections;
}

}  // namespace iuq::infer
