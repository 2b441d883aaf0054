#include "lib/model/condinst/boxes.h"

#include <torch/types.h>

#include <algorithm>
#include <vector>

namespace iuq::model {

at::Tensor giou_loss(const at::Tensor& distances, const at::Tensor& targets) {
  const auto area = [](const at::Tensor& d) {
    return (d.select(1, 0) + d.select(1, 2)) * (d.select(1, 1) + d.select(1, 3));
  };
  const at::Tensor overlap = area(at::minimum(distances, targets));
  const at::Tensor hull = area(at::maximum(distances, targets));
  const at::Tensor joint = area(distances) + area(targets) - overlap;
  return 1 - ((overlap + 1) / (joint + 1) - (hull - joint) / hull);
}

at::Tensor centerness(const at::Tensor& distances) {
  const auto ratio = [&](int64_t side, int64_t opposite) {
    const at::Tensor a = distances.select(1, side), b = distances.select(1, opposite);
    return at::minimum(a, b) / at::maximum(a, b);
  };
  return at::sqrt(ratio(0, 2) * ratio(1, 3));
}

at::Tensor box_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& labels, double limit) {
  const at::Tensor order = at::argsort(scores, /*stable=*/true, 0, /*descending=*/true).to(at::kCPU);
  const at::Tensor sorted = boxes.to(at::kCPU, at::kFloat).index_select(0, order).contiguous();
  const at::Tensor classes = labels.to(at::kCPU).index_select(0, order).contiguous();
  const float* const box = sorted.data_ptr<float>();
  const int64_t* const label = classes.data_ptr<int64_t>();
  const auto area = [box](int64_t i) { return (box[4 * i + 2] - box[4 * i]) * (box[4 * i + 3] - box[4 * i + 1]); };
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < order.size(0); ++i) {
    const bool beaten = std::any_of(kept.begin(), kept.end(), [&](int64_t k) {
      if (label[k] != label[i]) return false;
      const float width = std::min(box[4 * i + 2], box[4 * k + 2]) - std::max(box[4 * i], box[4 * k]);
      const float height = std::min(box[4 * i + 3], box[4 * k + 3]) - std::max(box[4 * i + 1], box[4 * k + 1]);
      if (width <= 0 || height <= 0) return false;
      const float overlap = width * height;
      return static_cast<double>(overlap / (area(i) + area(k) - overlap)) > limit;
    });
    if (!beaten) kept.push_back(i);
  }
  return order.index_select(0, torch::tensor(kept, at::kLong)).to(scores.device());
}

}  // namespace iuq::model
