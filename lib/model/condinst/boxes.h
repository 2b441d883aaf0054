#pragma once

#include <ATen/core/Tensor.h>

namespace iuq::model {

/// 1 - GIoU of boxes around the same points, given as distances [P, 4] (left, top, right, bottom), all >= 0: [P] float32.
/// The IoU in it is (overlap + 1) / (union + 1). Source: REFERENCE.md 3; adet:adet/utils/comm.py, compute_ious.
at::Tensor giou_loss(const at::Tensor& distances, const at::Tensor& targets);

/// How central the points lie in their boxes: sqrt(min(l,r)/max(l,r) * min(t,b)/max(t,b)), [P, 4] -> [P] in [0, 1].
at::Tensor centerness(const at::Tensor& distances);

/// Greedy suppression within each class: a box goes when its IoU with a better kept one of its class exceeds `limit`.
///   boxes [K, 4] float32 (x0, y0, x1, y1)   scores [K] float32   labels [K] int64
///   returns the kept rows [M] int64 on the same device, by descending score, equal ones by index
at::Tensor box_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& labels, double limit);

}  // namespace iuq::model
