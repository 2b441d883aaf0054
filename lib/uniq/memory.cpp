#include "lib/uniq/memory.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/model/segmenter.h"
#include "lib/uniq/best_queries.h"
#include "lib/uniq/instance_pixels.h"
#include "lib/view/shape.h"

namespace iuq::uniq {
namespace {

enum Column : size_t { kEmbedding, kPosition, kAnchor, kImage, kInstance, kCategory, kStep };

std::vector<at::Tensor> columns_of(const PixelBatch& batch, int64_t step) {
  return {batch.pixels.embeddings, batch.pixels.position, batch.pixels.anchor, batch.image_id,
          batch.instance_id,       batch.category,        at::full_like(batch.image_id, step)};
}

}  // namespace

void PixelBatch::check(int64_t width) const {
  pixels.check(width);
  view::expect_shape(image_id, {pixels.count()}, at::kLong, "pixels.image_id");
  view::expect_shape(instance_id, {pixels.count()}, at::kLong, "pixels.instance_id");
  view::expect_shape(category, {pixels.count()}, at::kLong, "pixels.category");
}

PixelMemory::PixelMemory(int64_t capacity, int64_t width, c10::Device device) : capacity_(capacity) {
  const auto floats = at::TensorOptions().dtype(at::kFloat).device(device);
  const auto ids = at::TensorOptions().dtype(at::kLong).device(device);
  // Names in checkpoints never change; "place" is the anchor.
  columns_ = {{"embeddings", at::zeros({capacity, width}, floats)}, {"position", at::zeros({capacity, 2}, floats)},
              {"place", at::zeros({capacity, 3}, floats)},          {"image_id", at::zeros({capacity}, ids)},
              {"instance_id", at::zeros({capacity}, ids)},          {"category", at::zeros({capacity}, ids)},
              {"step", at::zeros({capacity}, ids)}};
}

void PixelMemory::push(const PixelBatch& batch, int64_t step) {
  const int64_t skipped = std::max<int64_t>(0, batch.count() - capacity_);
  const int64_t rows = batch.count() - skipped;
  if (rows == 0) return;
  const int64_t until_end = std::min(rows, capacity_ - next_);
  const auto values = columns_of(batch, step);
  for (size_t i = 0; i < values.size(); ++i) {
    const at::Tensor kept = values[i].detach().slice(0, skipped);
    column(i).slice(0, next_, next_ + until_end).copy_(kept.slice(0, 0, until_end));
    if (rows > until_end) column(i).slice(0, 0, rows - until_end).copy_(kept.slice(0, until_end));
  }
  next_ = (next_ + rows) % capacity_;
  fill_ = std::min(capacity_, fill_ + rows);
}

PixelBatch PixelMemory::entries() const {
  const auto filled = [&](Column i) { return columns_[i].second.slice(0, 0, fill_); };
  return {{filled(kEmbedding), filled(kPosition), filled(kAnchor)}, filled(kImage), filled(kInstance), filled(kCategory)};
}

std::vector<std::pair<std::string, at::Tensor>> PixelMemory::state() const {
  auto state = columns_;
  for (auto& [name, tensor] : state) tensor = tensor.slice(0, 0, fill_);
  state.emplace_back("next", torch::tensor({next_}, at::kLong));
  return state;
}

void PixelMemory::set_state(const std::vector<std::pair<std::string, at::Tensor>>& state) {
  const auto find = [&](const std::string& name) {
    for (const auto& [key, tensor] : state) {
      if (key == name) return tensor;
    }
    throw Error(ErrorCode::kBadData, cat("the saved memory has no \"", name, "\""));
  };
  const int64_t fill = find(columns_[0].first).size(0);
  view::expect_shape(find("next"), {1}, at::kLong, "the saved memory's \"next\"", -1, ErrorCode::kBadData);
  const int64_t next = find("next").item<int64_t>();
  if (fill > capacity_ || next < 0 || next >= capacity_) {
    throw Error(ErrorCode::kBadData, cat("the saved memory has ", fill, " entries, this one holds ", capacity_));
  }
  for (auto& [name, tensor] : columns_) {
    const at::Tensor saved = find(name);
    std::vector<int64_t> shape = tensor.sizes().vec();
    shape[0] = fill;
    view::expect_shape(saved, shape, tensor.scalar_type(), cat("the saved memory's \"", name, "\""), -1, ErrorCode::kBadData);
    tensor.slice(0, 0, fill).copy_(saved);
  }
  fill_ = fill;
  next_ = next;
}

namespace {

// Rows of `cells` (flat indices of one instance, ascending) to keep: the mined ones first, then random others.
std::vector<int64_t> choose(const std::vector<int64_t>& cells, const std::vector<int64_t>& mined, int64_t wanted,
                            int64_t most_mined, Rng& rng) {
  std::vector<int64_t> chosen;
  for (const int64_t cell : mined) {
    if (static_cast<int64_t>(chosen.size()) >= most_mined) break;
    const bool is_cell = std::binary_search(cells.begin(), cells.end(), cell);
    if (is_cell && std::find(chosen.begin(), chosen.end(), cell) == chosen.end()) chosen.push_back(cell);
  }
  const size_t from_mined = chosen.size();
  for (const int64_t i : rng.sample(static_cast<int64_t>(cells.size()), wanted)) {
    if (static_cast<int64_t>(chosen.size()) >= wanted) break;
    const int64_t cell = cells[static_cast<size_t>(i)];
    const auto mined_end = chosen.begin() + static_cast<std::ptrdiff_t>(from_mined);
    if (std::find(chosen.begin(), mined_end, cell) == mined_end) chosen.push_back(cell);
  }
  return chosen;
}

}  // namespace

PixelBatch sample_pixels(model::Segmenter& segmenter, const at::Tensor& mask_features,
                         const std::vector<view::Instances>& truth, const model::Queries& queries,
                         const UniqConfig& config, const HardPixels& hard, uint64_t seed, int64_t step) {
  view::expect_shape(mask_features, {std::ssize(truth), segmenter.mask_channels(), -1, -1}, at::kFloat, "mask_features");
  queries.check(segmenter.query_width());
  const int64_t stride = segmenter.mask_stride();
  const int64_t width = mask_features.size(3);
  const int64_t area = mask_features.size(2) * width;
  const auto most_mined = static_cast<int64_t>(config.hard_share * static_cast<double>(config.pixels_per_instance));
  std::vector<int64_t> rows, image_id, instance_id, category;
  std::vector<float> position, anchor;
  const InstanceAnchors anchors(queries);
  for (size_t b = 0; b < truth.size(); ++b) {
    const int64_t n = truth[b].count();
    if (n == 0) continue;
    const at::Tensor cells = segmenter.instance_cells(truth[b]).flatten(1).to(at::kCPU).contiguous();  // [N, H*W] bool
    const at::Tensor labels = truth[b].labels.to(at::kCPU);
    const std::vector<int64_t> best = best_queries(queries, static_cast<int64_t>(b), n);
    Rng rng(seed, "pixels", static_cast<uint64_t>(step), b);
    for (int64_t i = 0; i < n; ++i) {
      const std::vector<int64_t> own = cells_of(cells, i);
      const Anchor own_anchor = anchors.of(best[static_cast<size_t>(i)], own, width, stride);
      std::vector<int64_t> mined;
      if (hard) {
        for (const auto& [x, y] : hard(b, truth[b].instance_ids[static_cast<size_t>(i)])) {
          const int64_t column = std::llround(x) / stride;
          const int64_t row = std::llround(y) / stride;
          const bool inside = x >= 0 && y >= 0 && column < width && row < mask_features.size(2);
          if (inside) mined.push_back(row * width + column);
        }
      }
      const auto chosen = choose(own, mined, config.pixels_per_instance, most_mined, rng);
      for (const int64_t c : chosen) {
        rows.push_back(static_cast<int64_t>(b) * area + c);
        position.push_back(static_cast<float>(c % width * stride));
        position.push_back(static_cast<float>(c / width * stride));
        anchor.insert(anchor.end(), own_anchor.begin(), own_anchor.end());
      }
      image_id.insert(image_id.end(), chosen.size(), truth[b].image_id);
      instance_id.insert(instance_id.end(), chosen.size(), truth[b].instance_ids[static_cast<size_t>(i)]);
      category.insert(category.end(), chosen.size(), labels[i].item<int64_t>());
    }
  }
  const auto device = mask_features.device();
  const auto ids = [&](const std::vector<int64_t>& values) { return torch::tensor(values, at::kLong).to(device); };
  const at::Tensor flat = mask_features.detach().permute({0, 2, 3, 1}).flatten(0, 2);  // [B*H*W, D]
  PixelBatch batch;
  batch.pixels.embeddings = flat.index_select(0, ids(rows));
  batch.pixels.position = torch::tensor(position, at::kFloat).view({-1, 2}).to(device);
  batch.pixels.anchor = torch::tensor(anchor, at::kFloat).view({-1, 3}).to(device);
  batch.image_id = ids(image_id);
  batch.instance_id = ids(instance_id);
  batch.category = ids(category);
  return batch;
}

}  // namespace iuq::uniq
