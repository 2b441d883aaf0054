#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/data/sampler.h"

namespace iuq::train {

/// The scenes that are hard negatives of a scene, hardest first, as indices of the data set; empty when unknown.
using HardScenes = std::function<std::vector<int64_t>(int64_t image)>;

/// Which images form the batch of each step. A batch holds images of one bucket (canvas size) only, so no image is padded
/// to the size of another and results do not depend on which images share a batch. Every image of an epoch is in some
/// batch; the last batch of a bucket is filled up from the bucket's start. A function of (images, buckets, seed, step)
/// alone.
class BatchPlan {
 public:
  /// `bucket_of` gives the bucket number of an image; `hard_scenes` may be empty (then batches are random).
  BatchPlan(data::EpochSampler sampler, std::function<int64_t(int64_t image)> bucket_of, int64_t images_per_batch,
            HardScenes hard_scenes);
  /// Images of a step (0-based). Steps should be asked for in rising order.
  const std::vector<int64_t>& at(int64_t step);

 private:
  void plan_next_epoch();

  data::EpochSampler sampler_;
  std::function<int64_t(int64_t)> bucket_of_;
  int64_t images_per_batch_;
  HardScenes hard_scenes_;
  int64_t epoch_ = -1;
  int64_t next_position_ = 0;                  // of the sampler
  int64_t first_step_ = 0;                     // of the epoch that is planned
  std::vector<std::vector<int64_t>> batches_;  // of that epoch
};

}  // namespace iuq::train
