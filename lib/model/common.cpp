#include "lib/model/common.h"

#include <torch/types.h>

namespace iuq::model {

using namespace at::indexing;

at::Tensor focal_loss_sum(const at::Tensor& logits, const at::Tensor& targets, double alpha, double gamma) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor t = targets.to(logits.scalar_type());
  const at::Tensor cross_entropy = at::binary_cross_entropy_with_logits(logits, t, {}, {}, at::Reduction::None);
  const at::Tensor miss = p + t - 2 * p * t;  // 1 - p where t is 1, p where t is 0
  const at::Tensor weight = (1 - alpha) + (2 * alpha - 1) * t;
  return (weight * miss.pow(gamma) * cross_entropy).sum();
}

at::Tensor class_loss_sum(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor classes = at::arange(logits.size(1), labels.options());
  return focal_loss_sum(logits, labels.unsqueeze(1) == classes.unsqueeze(0));
}

at::Tensor to_rows(const std::vector<at::Tensor>& levels) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& level : levels) rows.push_back(level.flatten(2).transpose(1, 2));
  return at::cat(rows, 1);
}

at::Tensor mean_by_image(const Queries& queries, const at::Tensor& mask_features,
                         const std::function<at::Tensor(const Queries&, int64_t)>& of_image) {
  if (queries.count() == 0) return (queries.vectors.sum() + mask_features.sum()) * 0;
  std::vector<at::Tensor> losses;
  const at::Tensor image = queries.image.to(at::kCPU);
  for (int64_t b = 0; b < mask_features.size(0); ++b) {
    const at::Tensor rows = at::nonzero(image == b).flatten().to(mask_features.device());
    if (rows.size(0) > 0) losses.push_back(of_image(queries.rows(rows), b));
  }
  return at::cat(losses).mean();
}

at::Tensor dice_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weight, double eps) {
  at::Tensor p = at::sigmoid(logits);
  at::Tensor t = targets.to(logits.scalar_type());
  if (weight.defined()) {
    p = p * weight;
    t = t * weight;
  }
  const at::Tensor overlap = (p * t).sum(1);
  return 1 - 2 * overlap / ((p * p).sum(1) + eps + (t * t).sum(1) + eps);
}

at::Tensor quarter_masks(const at::Tensor& masks) {
  const auto pick = [&](int64_t row, int64_t column) {
    return masks.index({Slice(), Slice(row, None, 4), Slice(column, None, 4)}).to(at::kByte);
  };
  return (pick(1, 1) + pick(1, 2) + pick(2, 1) + pick(2, 2)) >= 2;
}

at::Tensor mask_geometry(const at::Tensor& masks) {
  const int64_t n = masks.size(0);
  at::Tensor out = at::zeros({n, 7}, at::kDouble);
  if (n == 0) return out;
  const at::Tensor columns = masks.sum(1).to(at::kCPU, at::kDouble);  // [N, Wi] pixels per column
  const at::Tensor rows = masks.sum(2).to(at::kCPU, at::kDouble);     // [N, Hi]
  const auto fill = [&](const at::Tensor& counts, int64_t centroid, int64_t extent, int64_t begin) {
    const auto values = counts.accessor<double, 2>();
    auto result = out.accessor<double, 2>();
    for (int64_t i = 0; i < n; ++i) {
      double total = 0, moment = 0;
      int64_t first = -1, last = -1;
      for (int64_t k = 0; k < values.size(1); ++k) {
        if (values[i][k] == 0) continue;
        if (first < 0) first = k;
        last = k;
        total += values[i][k];
        moment += values[i][k] * static_cast<double>(k);
      }
      if (total == 0) continue;
      result[i][centroid] = moment / total;
      result[i][extent] = static_cast<double>(last - first + 1);
      result[i][4] = total;
      result[i][begin] = static_cast<double>(first);
    }
  };
  fill(columns, 0, 2, 5);
  fill(rows, 1, 3, 6);
  return out;
}

at::Tensor with_centre_cells(const at::Tensor& cells, const at::Tensor& masks, int64_t stride) {
  const at::Tensor empty = cells.flatten(1).any(1).logical_not().to(at::kCPU);
  if (!empty.any().item<bool>()) return cells;
  const at::Tensor geometry = mask_geometry(masks);
  at::Tensor out = cells.clone();
  for (int64_t n = 0; n < cells.size(0); ++n) {
    if (!empty[n].item<bool>() || geometry[n][4].item<double>() == 0) continue;
    const auto at = [&](int64_t axis, int64_t limit) {
      return std::min(static_cast<int64_t>(geometry[n][axis].item<double>()) / stride, limit - 1);
    };
    out.index_put_({n, at(1, cells.size(1)), at(0, cells.size(2))}, true);
  }
  return out;
}

}  // namespace iuq::model
