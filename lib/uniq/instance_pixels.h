#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "lib/model/batch.h"

// What sampling for the memory and mining share.
namespace iuq::uniq {

/// The cells of instance n, ascending: cells [N, H*W] bool on the CPU, contiguous -> flat indices.
std::vector<int64_t> cells_of(const at::Tensor& cells, int64_t n);

/// x, y in input pixels and level, as in model::Queries.
using Anchor = std::array<float, 3>;

/// Where the instances of a batch lie for segmenters whose masks depend on position: on the anchor of their best-scoring
/// query, and without one on the centroid of their cells at level 0. Source: METHOD.md 3.3.
class InstanceAnchors {
 public:
  /// Waits for the device of the queries.
  explicit InstanceAnchors(const model::Queries& queries);
  /// `best`: the instance's best query, as best_queries() gives it, -1 without one. `cells`: those the centroid is of, flat
  /// indices on a map of `width` columns and `stride` input pixels per cell.
  Anchor of(int64_t best, const std::vector<int64_t>& cells, int64_t width, int64_t stride) const;

 private:
  at::Tensor anchors_;  // [Q, 3] on the CPU
};

}  // namespace iuq::uniq
