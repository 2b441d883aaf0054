#pragma once

#include <ATen/core/Tensor.h>

namespace iuq::model {

/// Matrix NMS with Gaussian decay: scores of masks that overlap a better one of their class are lowered.
///   masks  [K, M] float32 of 0 and 1, sorted by descending score    labels [K] int64    scores [K] float32
///   returns [K] float32, the decayed scores. K = 0 is valid.
/// Source: REFERENCE.md 4; SOLOv2 paper, section "Matrix NMS"; solo:mmdet/core/post_processing/matrix_nms.py.
at::Tensor matrix_nms(const at::Tensor& masks, const at::Tensor& labels, const at::Tensor& scores, double sigma);

/// The same from a symmetric matrix of IoUs [K, K].
at::Tensor matrix_nms_of_iou(const at::Tensor& iou, const at::Tensor& labels, const at::Tensor& scores, double sigma);

/// Keeps a cell only if no left, upper or upper-left neighbour beats it, else 0: [B, C, S, S] -> same.
at::Tensor points_nms(const at::Tensor& heat);

}  // namespace iuq::model
