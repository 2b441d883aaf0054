#include "lib/model/solov2/matrix_nms.h"

#include <torch/types.h>

namespace iuq::model {

at::Tensor matrix_nms(const at::Tensor& masks, const at::Tensor& labels, const at::Tensor& scores, double sigma) {
  const at::Tensor shared = masks.matmul(masks.t());             // [K, K]
  const at::Tensor areas = masks.sum(1, /*keepdim=*/true);       // [K, 1]
  return matrix_nms_of_iou(shared / (areas + areas.t() - shared), labels, scores, sigma);
}

at::Tensor matrix_nms_of_iou(const at::Tensor& iou, const at::Tensor& labels, const at::Tensor& scores, double sigma) {
  if (scores.size(0) == 0) return scores;
  const at::Tensor same_class = labels.unsqueeze(0) == labels.unsqueeze(1);
  const at::Tensor better = (iou * same_class).triu(1);  // [i, j]: i is better than j and of its class
  // How much the better mask i was itself suppressed; a mask that was suppressed suppresses less.
  const at::Tensor compensation = std::get<0>(better.max(0)).unsqueeze(1);  // [K, 1], by row
  const at::Tensor decay = at::exp(-sigma * better.pow(2)) / at::exp(-sigma * compensation.pow(2));
  return scores * std::get<0>(decay.min(0));
}

at::Tensor points_nms(const at::Tensor& heat) {
  const int64_t rows = heat.size(2);
  const int64_t columns = heat.size(3);
  const at::Tensor best = at::max_pool2d(heat, 2, 1, 1).slice(2, 0, rows).slice(3, 0, columns);
  return heat * (best == heat);
}

}  // namespace iuq::model
