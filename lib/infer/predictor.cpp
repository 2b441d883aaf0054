#include "lib/infer/predictor.h"

#include <torch/types.h>

#include <algorithm>

#include "lib/model/segmenter.h"
#include "lib/nn/conv.h"

namespace iuq::infer {
namespace {

constexpr int64_t kMasksAtOnce = 16;  // bounds the memory of full-size masks

// Soft masks on the canvas [K, Hi, Wi] -> [K, original]. First cut to the image, then resized to its size: the order
// matters at the borders (lib/model/solov2/REFERENCE.md 4, step 5).
at::Tensor full_masks(const at::Tensor& soft, view::Size valid, view::Size original) {
  at::Tensor masks = soft.unsqueeze(1).slice(2, 0, valid.height).slice(3, 0, valid.width);
  if (!(valid == original)) masks = nn::resize_bilinear(masks, original.height, original.width);
  return masks.squeeze(1);
}

// Masks seen in a view back on the canvas of the image, [K, Hi, Wi] both.
at::Tensor out_of_view(const at::Tensor& soft, const view::ViewTransform& seen) {
  if (seen.is_identity()) return soft;
  const at::Tensor back = seen.inverse(seen.size).apply_image(soft);
  // The aligned flip shows all columns but the first, which is taken to be like its neighbour.
  if (seen.x.scale < 0 && seen.x.offset == static_cast<double>(seen.size.width)) back.select(2, 0).copy_(back.select(2, 1));
  return back;
}

}  // namespace

Predictor::Predictor(model::Checkpoint checkpoint, c10::Device device)
    : checkpoint_(std::move(checkpoint)), device_(device) {
  checkpoint_.segmenter->to(device_);
  checkpoint_.segmenter->eval();
}

view::ViewTransform Predictor::mirror(view::Size canvas) const {
  return view::ViewTransform::flip_x(canvas, checkpoint_.segmenter->alignment());
}

std::vector<Detection> Predictor::detect(const at::Tensor& image, const Framing& framing, int64_t max_detections) {
  const torch::NoGradGuard guard;
  return finish(checkpoint_.segmenter->backbone(image.unsqueeze(0).to(device_)), framing, max_detections);
}

std::vector<Detection> Predictor::detect_features(const std::vector<at::Tensor>& levels, const Framing& framing,
                                                  int64_t max_detections) {
  const torch::NoGradGuard guard;
  model::FeaturePyramid features;
  for (const at::Tensor& level : levels) features.push_back(level.unsqueeze(0).to(device_));
  return finish(features, framing, max_detections);
}

std::vector<Detection> Predictor::finish(const model::FeaturePyramid& features, const Framing& framing,
                                         int64_t max_detections) {
  model::Segmenter& segmenter = *checkpoint_.segmenter;
  const view::Size canvas = framing.view.size, original = framing.original;
  // In another view the image may lie anywhere on the canvas.
  const model::Frame frame{canvas, {framing.view.is_identity() ? framing.valid : canvas}};
  const model::Prediction found = segmenter.predict(segmenter.encode(features, frame)).at(0);
  const at::Tensor scores = found.scores.to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor labels = found.labels.to(at::kCPU).contiguous();
  const int64_t count = found.scores.size(0);
  std::vector<Detection> detections;
  for (int64_t first = 0; first < count; first += kMasksAtOnce) {
    const int64_t last = std::min(first + kMasksAtOnce, count);
    const at::Tensor soft = segmenter.to_canvas(found.masks.slice(0, first, last), canvas);
    const at::Tensor full = full_masks(out_of_view(soft, framing.view), framing.valid, original);
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
  // Not earlier: making the masks changes the scores and drops empty ones.
  if (static_cast<int64_t>(detections.size()) > max_detections) detections.resize(static_cast<size_t>(max_detections));
  return detections;
}

}  // namespace iuq::infer
