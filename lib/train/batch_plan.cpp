#include "lib/train/batch_plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "lib/base/error.h"

namespace iuq::train {
namespace {

// The order with hard negatives of one another in the same batch: after an image that opens a batch come its hard scenes, as
// far as they are of the same bucket and have not been shown in this epoch.
std::vector<int64_t> grouped(const std::vector<int64_t>& order, const std::function<int64_t(int64_t)>& bucket_of,
                             int64_t images_per_batch, const HardScenes& hard_scenes) {
  std::unordered_map<int64_t, int64_t> left;  // image -> times still to come
  for (const int64_t image : order) ++left[image];
  std::map<int64_t, int64_t> open;  // bucket -> images in its unfinished batch
  std::vector<int64_t> out;
  const auto take = [&](int64_t image) {
    --left[image];
    out.push_back(image);
    int64_t& size = open[bucket_of(image)];
    size = (size + 1) % images_per_batch;
    return size;
  };
  for (const int64_t image : order) {
    if (left[image] == 0) continue;
    if (take(image) == 0) continue;
    for (const int64_t other : hard_scenes(image)) {
      const auto it = left.find(other);
      if (it == left.end() || it->second == 0 || bucket_of(other) != bucket_of(image)) continue;
      if (take(other) == 0) break;
    }
  }
  return out;
}

}  // namespace

BatchPlan::BatchPlan(data::EpochSampler sampler, std::function<int64_t(int64_t)> bucket_of, int64_t images_per_batch,
                     HardScenes hard_scenes)
    : sampler_(std::move(sampler)), bucket_of_(std::move(bucket_of)), images_per_batch_(images_per_batch),
      hard_scenes_(std::move(hard_scenes)) {
  IUQ_ASSERT(images_per_batch_ >= 1);
}

const std::vector<int64_t>& BatchPlan::at(int64_t step) {
  IUQ_ASSERT(step >= first_step_);
  while (step >= first_step_ + static_cast<int64_t>(batches_.size())) plan_next_epoch();
  return batches_[static_cast<size_t>(step - first_step_)];
}

void BatchPlan::plan_next_epoch() {
  first_step_ += static_cast<int64_t>(batches_.size());
  batches_.clear();
  ++epoch_;
  std::vector<int64_t> order;
  for (int64_t i = sampler_.epoch_length(epoch_); i > 0; --i) order.push_back(sampler_.at(next_position_++));
  if (hard_scenes_) order = grouped(order, bucket_of_, images_per_batch_, hard_scenes_);

  const auto wanted = static_cast<size_t>(images_per_batch_);
  std::map<int64_t, std::vector<int64_t>> open, all;
  for (const int64_t image : order) {
    const int64_t bucket = bucket_of_(image);
    all[bucket].push_back(image);
    open[bucket].push_back(image);
    if (open[bucket].size() == wanted) batches_.push_back(std::exchange(open[bucket], {}));
  }
  for (auto& [bucket, batch] : open) {
    if (batch.empty()) continue;
    for (size_t i = 0; batch.size() < wanted; ++i) batch.push_back(all[bucket][i % all[bucket].size()]);
    batches_.push_back(batch);
  }
}

}  // namespace iuq::train
