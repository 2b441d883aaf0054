#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "lib/model/mask2former/config.h"
#include "lib/model/mask2former/masked_decoder.h"
#include "lib/model/mask2former/points.h"
#include "lib/view/sample.h"

// Matching and losses of Mask2Former. Source: REFERENCE.md 3 and 4; m2f:mask2former/modeling/{matcher,criterion}.py.
namespace iuq::model {

/// Matches every round of every image on its own, at the least cost of class, cross entropy and dice on shared points.
/// Returns the pairs [M, 5] int64 on the CPU as rows of image, round, query, instance and label, in this order; of these the
/// first three ascend. An image without instances has no pairs; with more instances than queries some go without.
/// Error(kBadData) naming the image when a cost is not finite: the training has diverged.
at::Tensor match(const Mask2FormerRounds& rounds, const at::Tensor& mask_features,
                 const std::vector<view::Instances>& truth, const Mask2FormerConfig& config, const PointSource& points);

/// Losses of all rounds, weighted: [R] float32 each.
struct Mask2FormerLosses {
  at::Tensor classes, mask, dice;
};
/// `pairs` as match() gives them. The class loss is a mean over the queries of the batch by their weights, mask losses are
/// divided by the number of instances, matched or not, at least 1.
Mask2FormerLosses criterion(const Mask2FormerRounds& rounds, const at::Tensor& mask_features, const at::Tensor& pairs,
                            const std::vector<view::Instances>& truth, const Mask2FormerConfig& config,
                            const PointSource& points);

/// Mask loss of any queries: cross entropy and dice, weighted, summed and divided by the number of instances.
///   vectors [M, D], image and instance [M] int64    `points` is asked with round -1
///   valid   [B, H, W] bool or undefined: points that touch other cells are left out
///   returns [] float32; 0 with a graph when M = 0
at::Tensor loose_mask_loss(const at::Tensor& vectors, const at::Tensor& image, const at::Tensor& instance,
                           const at::Tensor& mask_features, const std::vector<view::Instances>& truth,
                           const at::Tensor& valid, const Mask2FormerConfig& config, const PointSource& points);

}  // namespace iuq::model
