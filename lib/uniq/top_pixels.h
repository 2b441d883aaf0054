#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace iuq::uniq {

/// One instance pixel, named so that it can be found again.
struct PixelName {
  int64_t image_id = 0;
  int64_t instance_id = 0;  // annotation id
  int64_t x = 0, y = 0;     // cell of the mask features times their stride: input pixels of view 0
  auto operator<=>(const PixelName&) const = default;
};

struct Hit {
  float logit = 0;
  PixelName pixel;
};

/// Whether `a` comes before `b`: larger logit, then smaller image id, instance id, x, y. A total order of the pixels, so
/// a top-K is one set, whatever the blocks, threads and order in which it was found.
bool harder(const Hit& a, const Hit& b);

/// The K hardest pixels of each query, over any number of blocks of pixels, in memory Q * K.
class TopPixels {
 public:
  TopPixels(int64_t queries, int64_t k);

  /// Takes the logits of some queries on the pixels of one block.
  ///   first  the block's row 0 is query `first`
  ///   logits [Qb, P] float32 on any device; -inf leaves a pair out. NaN is never taken.
  ///   pixels P names
  /// Only pairs that can be among the K hardest leave the device.
  void add(int64_t first, const at::Tensor& logits, std::span<const PixelName> pixels);

  /// Hardest first, at most K.
  std::vector<Hit> sorted(int64_t query) const;

 private:
  void offer(int64_t query, const Hit& hit);
  void add_on_host(int64_t first, const at::Tensor& logits, std::span<const PixelName> pixels);

  size_t k_;
  std::vector<std::vector<Hit>> heaps_;  // per query, a heap with the least hard hit on top
  std::vector<float> bounds_;            // per query: the logit of that hit when the heap is full, else -inf
};

}  // namespace iuq::uniq
