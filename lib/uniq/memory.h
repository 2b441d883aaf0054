#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/model/batch.h"
#include "lib/uniq/config.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::uniq {

/// Instance pixels with where they come from. Rows belong together; all on one device, none with a gradient.
struct PixelBatch {
  model::PixelSet pixels;  // P
  at::Tensor image_id;     // [P] int64, data set's id: entries of the query's own image are masked out by it
  at::Tensor instance_id;  // [P] int64, annotation id
  at::Tensor category;     // [P] int64, category index
  int64_t count() const { return image_id.defined() ? image_id.size(0) : 0; }
  /// Error(kInternal) naming the field unless all have these shapes; `width` is D.
  void check(int64_t width) const;
};

/// The external memory: a ring of the last instance-pixel embeddings over several batches, background left out.
/// Source: METHOD.md 2. Dropped after training.
class PixelMemory {
 public:
  /// `width` D of the embeddings. Takes capacity * (4 D + 56) bytes on `device`.
  PixelMemory(int64_t capacity, int64_t width, c10::Device device);

  /// Overwrites the oldest entries. A batch larger than the memory leaves its last rows.
  void push(const PixelBatch& batch, int64_t step);
  /// The filled part, in the order of the ring, which is not that of time. Shares memory; do not keep it over a push.
  PixelBatch entries() const;
  int64_t fill() const { return fill_; }
  int64_t capacity() const { return capacity_; }

  /// What a checkpoint keeps; set_state is its inverse, so that a resumed run is exact. Error(kBadData).
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_state(const std::vector<std::pair<std::string, at::Tensor>>& state);

 private:
  int64_t capacity_;
  int64_t next_ = 0, fill_ = 0;
  std::vector<std::pair<std::string, at::Tensor>> columns_;  // by the names they are saved under
  at::Tensor& column(size_t i) { return columns_[i].second; }
};

/// Which pixels of an instance should be among its samples: (image of the batch, annotation id) -> x, y in input pixels
/// of that image; empty when nothing is known. Comes from mined negatives.
using HardPixels = std::function<std::vector<std::pair<float, float>>(size_t image, int64_t instance_id)>;

/// Draws at most `pixels_per_instance` cells of every instance of a batch from its mask feature maps, small instances
/// as many as large ones; all cells of an instance that has fewer. Detached.
///   mask_features [B, D, H, W] float32; truth B images; queries of these images. Anchors are those of InstanceAnchors.
/// Randomness: stream (seed, "pixels", step, image of the batch).
PixelBatch sample_pixels(model::Segmenter& segmenter, const at::Tensor& mask_features,
                         const std::vector<view::Instances>& truth, const model::Queries& queries,
                         const UniqConfig& config, const HardPixels& hard, uint64_t seed, int64_t step);

}  // namespace iuq::uniq
