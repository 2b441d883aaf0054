#include "lib/train/foreign_pixels.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/train/mined.h"

namespace iuq::train {

ForeignPixels::ForeignPixels(const uniq::UniqConfig& config, const uniq::Negatives* negatives, c10::Device device,
                             uint64_t seed)
    : config_(config), negatives_(negatives), device_(device), seed_(seed) {}

ForeignPixels::~ForeignPixels() = default;

void ForeignPixels::push(model::Segmenter& segmenter, const Batch& batch, const at::Tensor& mask_features,
                         const model::Queries& queries, int64_t step) {
  uniq::HardPixels hard;
  if (negatives_) {
    hard = [&](size_t image, int64_t instance) { return hard_pixels(*negatives_, instance, batch.to_view[image]); };
  }
  const uniq::PixelBatch fresh =
      uniq::sample_pixels(segmenter, mask_features, batch.truth, queries, config_, hard, seed_, step);
  if (!memory_) memory_ = std::make_unique<uniq::PixelMemory>(config_.memory, mask_features.size(1), device_);
  memory_->push(fresh, step);
}

uniq::PixelBatch ForeignPixels::entries() const {
  IUQ_ASSERT(memory_);
  return memory_->entries();
}

int64_t ForeignPixels::fill() const { return memory_ ? memory_->fill() : 0; }

std::vector<std::pair<std::string, at::Tensor>> ForeignPixels::state() const {
  return memory_ ? memory_->state() : std::vector<std::pair<std::string, at::Tensor>>();
}

void ForeignPixels::set_state(const std::vector<std::pair<std::string, at::Tensor>>& state) {
  for (const auto& [name, tensor] : state) {
    if (name != "embeddings") continue;
    if (tensor.dim() != 2) throw Error(ErrorCode::kBadData, "the saved memory's \"embeddings\" has another shape");
    memory_ = std::make_unique<uniq::PixelMemory>(config_.memory, tensor.size(1), device_);
    memory_->set_state(state);
    return;
  }
  throw Error(ErrorCode::kBadData, "the saved memory has no \"embeddings\"");
}

}  // namespace iuq::train
