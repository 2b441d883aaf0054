#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "lib/model/batch.h"
#include "lib/uniq/config.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::uniq {

/// Images and their transformed versions in one batch: image i and image i + P show the same scene, and pairs[i] maps the
/// frame of the first to that of the second; P = pairs.size(), B = 2 P, all on one canvas.
struct PairBatch {
  const model::FeaturePyramid& backbone;               // of all B images
  const model::Encoded& encoded;                       // of all B images
  const model::Queries& queries;                       // of all B images, assigned on each image's own ground truth
  const std::vector<view::Instances>& truth;         // B
  const std::vector<view::ViewTransform>& pairs;       // P
};

/// The mask features of the first P images as seen through g: g acts on what `equi_at` (as in UniqConfig) names, and all
/// that comes after it is computed anew in the frame of g(I).
///   backbone, encoded  of at least P images on one canvas; pairs P   ->  [P, D, H, W] float32, gradients flow
at::Tensor transformed_mask_features(model::Segmenter& segmenter, const model::FeaturePyramid& backbone,
                                     const model::Encoded& encoded, const std::vector<view::ViewTransform>& pairs,
                                     const std::string& equi_at);

/// Queries of the second half of a batch, as those of a batch of its own: images count from there, and the targets of the
/// whole batch are not its targets.
model::Queries of_second_half(const model::Queries& queries, int64_t pairs);
/// Which cells of each g(I) show something of I: [P, H, W] bool on `device`. At least one pair.
at::Tensor shown_cells(const model::Segmenter& segmenter, view::Size canvas, const std::vector<view::ViewTransform>& pairs,
                       c10::Device device);

/// The equivariance loss: the queries of g(I), applied to the transformed features of I, give the transformed masks.
///   returns [] float32: the segmenter's own mask loss, unweighted by lambda; 0 when g(I) has no query. A batch has a pair at least.
/// Error(kInternal) naming the tensor whose shape or type is another.
/// The gradient reaches queries and features. Cells of g(I) whose features came from outside of I are left out.
/// Source: METHOD.md 4 (coordinates are those of the new frame).
at::Tensor equivariance_loss(model::Segmenter& segmenter, const PairBatch& batch, const UniqConfig& config);

}  // namespace iuq::uniq
