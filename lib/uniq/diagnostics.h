#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "lib/model/batch.h"
#include "lib/uniq/config.h"
#include "lib/uniq/equivariance.h"
#include "lib/uniq/memory.h"

namespace iuq::model {
class Segmenter;
}

/// What the terms of the method do to a model in training. Definitions: METHOD.md 9. A query fires where its logit is
/// above 0, sigmoid above .5. None of these leaves a gradient or draws from anything that training draws from; each waits
/// for the device. A rate without anything to count has no value.
namespace iuq::uniq {

/// Where queries fire in their own scenes, in [0, 1].
struct Firing {
  std::optional<double> own;         // of the cells of a query's own instance
  std::optional<double> other;       // of the cells of other instances of its image that are not its own
  std::optional<double> background;  // of the cells of no instance
  std::optional<double> on_other;    // share of a fired mask that lies on `other`, mean over the masks that fire at all
};
/// All [Q, H, W] bool: where the query fires; its own instance; any instance of its image; cells that count.
Firing firing(const at::Tensor& fired, const at::Tensor& own, const at::Tensor& annotated, const at::Tensor& valid);
/// The same of a batch: queries on their own maps mask_features [B, D, H, W], `truth` B images; padding does not count.
Firing firing_at_home(model::Segmenter& segmenter, const model::Queries& queries, const at::Tensor& mask_features,
                      const std::vector<view::Instances>& truth, const model::Frame& frame);

/// Share of the pairs of a query and a pixel of another image at which the query fires.
///   query_image_id [Q] int64, the data set's, as for inter_scene_loss
std::optional<double> firing_on_foreign(model::Segmenter& segmenter, const model::Queries& queries,
                                        const at::Tensor& query_image_id, const PixelBatch& pixels);

/// Mean over Q of the IoU of two masks each, those left out where both are empty. All [Q, H, W] bool; cells that are not
/// valid do not count.
std::optional<double> mean_iou(const at::Tensor& first, const at::Tensor& second, const at::Tensor& valid);
/// Of the queries of g(I): what they fire on in the transformed features of I, as equivariance_loss takes them, against
/// what they fire on in g(I) itself. A batch has a pair at least. The neck must hold no running statistics.
std::optional<double> equivariance_iou(model::Segmenter& segmenter, const PairBatch& batch, const UniqConfig& config);

/// L2 norm of all tensors together; undefined ones are 0. In double.
double norm_of(const std::vector<at::Tensor>& gradients);
/// Cosine of the angle between two gradients of equal tensors; none where one of them is 0.
std::optional<double> cosine_of(const std::vector<at::Tensor>& first, const std::vector<at::Tensor>& second);

}  // namespace iuq::uniq
