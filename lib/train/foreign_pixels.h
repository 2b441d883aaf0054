#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/train/batch_source.h"
#include "lib/uniq/memory.h"

namespace iuq::model {
class Segmenter;
}
namespace iuq::uniq {
class Negatives;
}

namespace iuq::train {

/// The external memory of a run, together with how it is filled: pixels of the instances of each batch, and among them
/// those that were mined as hard for other scenes. It is made at the first batch, which tells how wide an embedding is.
class ForeignPixels {
 public:
  /// `negatives` may be null. All arguments but `device` and `seed` must outlive this.
  ForeignPixels(const uniq::UniqConfig& config, const uniq::Negatives* negatives, c10::Device device, uint64_t seed);
  ~ForeignPixels();

  /// Draws pixels of every instance of a batch and puts them in. Randomness: see uniq::sample_pixels.
  ///   mask_features [B, D, H, W]; queries assigned to batch.truth; step 0-based
  void push(model::Segmenter& segmenter, const Batch& batch, const at::Tensor& mask_features, const model::Queries& queries,
            int64_t step);
  /// What the memory holds, after the first push. Valid until the next one.
  uniq::PixelBatch entries() const;
  int64_t fill() const;

  /// For checkpoints; set_state is the inverse. Before the first push there is nothing. Error(kBadData).
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_state(const std::vector<std::pair<std::string, at::Tensor>>& state);

 private:
  const uniq::UniqConfig& config_;
  const uniq::Negatives* negatives_;
  c10::Device device_;
  uint64_t seed_;
  std::unique_ptr<uniq::PixelMemory> memory_;
};

}  // namespace iuq::train
