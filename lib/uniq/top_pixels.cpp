#include "lib/uniq/top_pixels.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <limits>

#include "lib/base/error.h"

namespace iuq::uniq {

bool harder(const Hit& a, const Hit& b) { return a.logit != b.logit ? a.logit > b.logit : a.pixel < b.pixel; }

TopPixels::TopPixels(int64_t queries, int64_t k)
    : k_(static_cast<size_t>(k)),
      heaps_(static_cast<size_t>(queries)),
      bounds_(static_cast<size_t>(queries), -std::numeric_limits<float>::infinity()) {
  IUQ_ASSERT(queries >= 0 && k >= 1);
}

void TopPixels::offer(int64_t query, const Hit& hit) {
  auto& heap = heaps_[static_cast<size_t>(query)];
  if (heap.size() == k_) {
    if (!harder(hit, heap.front())) return;
    std::pop_heap(heap.begin(), heap.end(), harder);
    heap.back() = hit;
  } else {
    heap.push_back(hit);
  }
  std::push_heap(heap.begin(), heap.end(), harder);
  if (heap.size() == k_) bounds_[static_cast<size_t>(query)] = heap.front().logit;
}

void TopPixels::add_on_host(int64_t first, const at::Tensor& logits, std::span<const PixelName> pixels) {
  const auto count = static_cast<int64_t>(pixels.size());
  const float* const values = logits.data_ptr<float>();
  constexpr int64_t kChunk = 16;
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      const float* const row = values + q * count;
      const float& bound = bounds_[static_cast<size_t>(first + q)];
      const auto offer_from = [&](int64_t p, int64_t last) {
        for (; p < last; ++p) {
          const bool candidate = row[p] >= bound && row[p] > -std::numeric_limits<float>::infinity();
          if (candidate) offer(first + q, {row[p], pixels[static_cast<size_t>(p)]});
        }
      };
      int64_t p = 0;
      for (; p + kChunk <= count; p += kChunk) {
        // Nearly all pixels are below the bound. Of this shape the compiler makes vector comparisons, at -O2 too.
        const float limit = bound;
        int any = 0;
        for (int64_t i = 0; i < kChunk; ++i) any |= row[p + i] >= limit;
        if (any) offer_from(p, p + kChunk);
      }
      offer_from(p, count);
    }
  });
}

void TopPixels::add(int64_t first, const at::Tensor& logits, std::span<const PixelName> pixels) {
  IUQ_ASSERT(logits.dim() == 2 && logits.size(1) == static_cast<int64_t>(pixels.size()));
  IUQ_ASSERT(first >= 0 && first + logits.size(0) <= static_cast<int64_t>(heaps_.size()));
  if (logits.numel() == 0) return;
  if (logits.is_cpu()) return add_on_host(first, logits.contiguous(), pixels);

  // A pair matters only if it is not below the K-th of its query in this block, nor below the bound so far. Pairs equal
  // to the K-th all pass, because the names decide among them. NaN would sort first in topk, so it becomes -inf.
  const float lowest = -std::numeric_limits<float>::infinity();
  const at::Tensor clean = at::where(logits.isnan(), at::full({}, lowest, logits.options()), logits);
  const int64_t k = std::min<int64_t>(static_cast<int64_t>(k_), logits.size(1));
  const at::Tensor kth = std::get<0>(at::topk(clean, k, 1)).select(1, k - 1);  // [Qb]
  const at::Tensor bounds = torch::from_blob(bounds_.data() + first, {logits.size(0)}, at::kFloat).to(logits.device());
  const at::Tensor enough = clean.ge(at::maximum(kth, bounds).unsqueeze(1)).logical_and_(clean > lowest);  // [Qb, P]
  const at::Tensor pairs = at::nonzero(enough);                                                           // [n, 2]
  const at::Tensor values = clean.index({pairs.select(1, 0), pairs.select(1, 1)}).to(at::kCPU);
  const at::Tensor where = pairs.to(at::kCPU).contiguous();
  const int64_t* const at_pair = where.data_ptr<int64_t>();
  const float* const value = values.data_ptr<float>();
  for (int64_t n = 0; n < where.size(0); ++n) {
    offer(first + at_pair[2 * n], {value[n], pixels[static_cast<size_t>(at_pair[2 * n + 1])]});
  }
}

std::vector<Hit> TopPixels::sorted(int64_t query) const {
  std::vector<Hit> hits = heaps_[static_cast<size_t>(query)];
  std::sort(hits.begin(), hits.end(), harder);
  return hits;
}

}  // namespace iuq::uniq
