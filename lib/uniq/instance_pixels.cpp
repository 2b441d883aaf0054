#include "lib/uniq/instance_pixels.h"

#include <algorithm>

namespace iuq::uniq {

std::vector<int64_t> cells_of(const at::Tensor& cells, int64_t n) {
  std::vector<int64_t> own;
  const bool* const bits = cells.data_ptr<bool>() + n * cells.size(1);
  for (int64_t c = 0; c < cells.size(1); ++c) {
    if (bits[c]) own.push_back(c);
  }
  return own;
}

InstanceAnchors::InstanceAnchors(const model::Queries& queries) : anchors_(queries.anchor.to(at::kCPU).contiguous()) {}

Anchor InstanceAnchors::of(int64_t best, const std::vector<int64_t>& cells, int64_t width, int64_t stride) const {
  if (best >= 0) {
    const float* const anchor = anchors_.data_ptr<float>() + 3 * best;
    return {anchor[0], anchor[1], anchor[2]};
  }
  double x = 0, y = 0;
  for (const int64_t cell : cells) {
    x += static_cast<double>(cell % width * stride);
    y += static_cast<double>(cell / width * stride);
  }
  const double count = std::max(1.0, static_cast<double>(cells.size()));
  return {static_cast<float>(x / count), static_cast<float>(y / count), 0};
}

}  // namespace iuq::uniq
