#pragma once

#include <ATen/core/Tensor.h>

#include "lib/model/batch.h"
#include "lib/uniq/config.h"
#include "lib/uniq/memory.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::uniq {

/// The inter-scene loss: every query stays silent on every instance pixel of every other image. Focal with target 0,
///   mean over foreign (query, pixel) pairs of (1 - alpha) * p^gamma * softplus(x),  x = <q, e>, p = sigmoid(x).
///   query_image_id [Q] int64   data set's image id of each query; pairs of equal id do not enter, in any view
///   returns [] float32 >= 0; exactly 0 without foreign pairs. The gradient reaches queries.vectors only.
/// Error(kInternal) naming the tensor whose shape or type is another.
/// Pixels are taken in blocks and the gradient of a block is formed at once, so memory does not grow with their number.
/// Randomness: stream (seed, "inter queries", step) when max_queries limits the queries.
/// Source: METHOD.md 3.1 and 6 (focal parameters and normaliser are our choice).
at::Tensor inter_scene_loss(model::Segmenter& segmenter, const model::Queries& queries, const at::Tensor& query_image_id,
                            const PixelBatch& negatives, const UniqConfig& config, uint64_t seed, int64_t step);

}  // namespace iuq::uniq
