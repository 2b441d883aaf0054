#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/model/batch.h"
#include "lib/train/batch_plan.h"
#include "lib/train/config.h"

namespace iuq::data {
class Dataset;
}
namespace iuq::cache {
class FeatureStore;
}

namespace iuq::train {

/// What a step trains on. With pairs, the second half of the images are views of the first half.
struct Batch {
  at::Tensor images;               // [B, 3, Hi, Wi] float32; undefined when features come from the cache
  model::FeaturePyramid features;  // of the backbone; empty when images are given
  model::Frame frame;
  std::vector<view::Instances> truth;      // B
  std::vector<view::ViewTransform> to_view;  // B: from each image at test size, as cache and mining see it, to the canvas
  std::vector<view::ViewTransform> pairs;    // B/2, or none: from the frame of image i to that of image i + B/2
};

/// Where a step's input comes from: images that go through the backbone, or the backbone's maps from the cache. What comes
/// after is the same for both. make() is a function of its arguments alone and may run on several threads.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual Batch make(const std::vector<int64_t>& images, int64_t step) const = 0;  // on the CPU
  virtual int64_t bucket_of(int64_t image) const = 0;
};

struct SourceOptions {
  const data::Dataset& dataset;
  std::string images;  // folder; empty with a cache
  view::InputConfig input;
  view::ViewConfig view;
  TrainConfig train;
  view::Alignment alignment = view::Alignment::kStrided;
  uint64_t seed = 0;
};

/// Reads, mirrors, resizes and transforms images as sections "input" and "view" say.
std::unique_ptr<BatchSource> image_source(const SourceOptions& options);
/// Takes stored views; the two images of a pair are two different ones. Error(kBadData) if the cache has fewer than two views when
/// pairs are asked for, or lacks an image.
std::unique_ptr<BatchSource> cached_source(const SourceOptions& options, std::shared_ptr<const cache::FeatureStore> store);

/// Makes the batches of steps first, first + 1, ... a few ahead, in order.
class Loader {
 public:
  /// Batches of steps first_step .. steps - 1, up to `threads` (clamped to 1..8) of them being made at once on threads of their
  /// own, where the plan is asked as well, by one thread at a time. `source` must outlive the loader.
  Loader(const BatchSource& source, BatchPlan plan, int64_t first_step, int64_t steps, int threads);
  ~Loader();
  /// The next one, waiting for it if need be. Throws what making it threw.
  Batch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Batch to_device(Batch batch, c10::Device device);

}  // namespace iuq::train
