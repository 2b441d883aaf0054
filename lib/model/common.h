#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/model/batch.h"

// Pieces that several segmenters share.
namespace iuq::model {

/// Sigmoid focal loss of logits [...] float32 against targets [...] of 0 and 1, summed: [] float32.
/// The positive term weighs alpha, the negative 1 - alpha.
/// Source: Lin et al., "Focal Loss for Dense Object Detection", Eq. (5).
at::Tensor focal_loss_sum(const at::Tensor& logits, const at::Tensor& targets, double alpha = 0.25, double gamma = 2);

/// The same against one class for each row: logits [R, C] float32, labels [R] int64, -1 for none of the classes.
at::Tensor class_loss_sum(const at::Tensor& logits, const at::Tensor& labels);

/// Maps of several levels [B, C, H_l, W_l] as rows, level by level and row by row: [B, sum H_l*W_l, C].
at::Tensor to_rows(const std::vector<at::Tensor>& levels);

/// Mean over all queries of the losses that `of_image` gives to those of one image: (its queries, its number in the batch)
/// -> [Qb]. Without queries 0, with a graph to queries and mask features so that every parameter has a gradient.
at::Tensor mean_by_image(const Queries& queries, const at::Tensor& mask_features,
                         const std::function<at::Tensor(const Queries&, int64_t)>& of_image);

/// 1 - 2 sum(pt) / (sum p^2 + eps + sum t^2 + eps), p = sigmoid(logits): [N, M] x [N, M] -> [N] float32.
/// `weight` [N or 1, M] float32 of 0 and 1, or undefined: cells left out of all sums.
/// Source: lib/model/solov2/REFERENCE.md 3.
at::Tensor dice_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weight, double eps);

/// Quarter-size masks as SOLO's targets: a cell is set when at least two of its four central pixels are.
/// [N, Hi, Wi] bool, sides multiples of 4 -> [N, Hi/4, Wi/4] bool.
/// Source: lib/model/solov2/REFERENCE.md 2 (equals cv2's exact 1/4 resize).
at::Tensor quarter_masks(const at::Tensor& masks);

/// Gives each empty mask the one cell nearest to the centroid of its full-size mask, so that small instances are
/// represented. cells [N, H, W] bool at `stride`, masks [N, Hi, Wi] bool.
at::Tensor with_centre_cells(const at::Tensor& cells, const at::Tensor& masks, int64_t stride);

/// Per mask: x and y of the centroid (mean pixel index), width and height of its box (max - min + 1), the pixel count,
/// and the box's first column and row: [N, 7] float64 on the CPU; all 0 for an empty mask.
at::Tensor mask_geometry(const at::Tensor& masks);

}  // namespace iuq::model
