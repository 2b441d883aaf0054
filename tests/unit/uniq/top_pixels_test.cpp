#include "lib/uniq/top_pixels.h"

#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <limits>

#include "lib/base/rng.h"
#include "tests/support/catch.h"

using namespace iuq;
using uniq::Hit;
using uniq::PixelName;

namespace {

struct Pixels {
  at::Tensor logits;  // [Q, P]
  std::vector<PixelName> names;
};

// Few different values, so that ties are everywhere; names in random order.
Pixels many_ties(int64_t queries, int64_t pixels, int64_t values, uint64_t seed) {
  Rng rng(seed, "test");
  Pixels out{at::empty({queries, pixels}, at::kFloat), {}};
  float* data = out.logits.data_ptr<float>();
  for (int64_t i = 0; i < queries * pixels; ++i) data[i] = static_cast<float>(rng.below(values)) - 3;
  for (const int64_t i : rng.permutation(pixels)) out.names.push_back({i % 3, i % 7, i / 21 % 5, i / 105});
  return out;
}

std::vector<Hit> oracle(const Pixels& pixels, int64_t query, int64_t k) {
  std::vector<Hit> hits;
  for (size_t p = 0; p < pixels.names.size(); ++p) {
    const float logit = pixels.logits[query][static_cast<int64_t>(p)].item<float>();
    if (logit > -std::numeric_limits<float>::infinity()) hits.push_back({logit, pixels.names[p]});
  }
  std::sort(hits.begin(), hits.end(), uniq::harder);
  hits.resize(std::min(hits.size(), static_cast<size_t>(k)));
  return hits;
}

void check_same(const std::vector<Hit>& found, const std::vector<Hit>& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t n = 0; n < found.size(); ++n) {
    CHECK(found[n].logit == expected[n].logit);
    CHECK(found[n].pixel == expected[n].pixel);
  }
}

// Adds the pixels in blocks of queries and pixels.
uniq::TopPixels collect(const Pixels& pixels, int64_t k, int64_t query_block, int64_t pixel_block, c10::Device device) {
  const int64_t queries = pixels.logits.size(0), count = pixels.logits.size(1);
  uniq::TopPixels top(queries, k);
  for (int64_t q = 0; q < queries; q += query_block) {
    for (int64_t p = 0; p < count; p += pixel_block) {
      const int64_t last = std::min(count, p + pixel_block);
      const at::Tensor logits = pixels.logits.slice(0, q, std::min(queries, q + query_block)).slice(1, p, last);
      top.add(q, logits.to(device), std::span(pixels.names).subspan(size_t(p), size_t(last - p)));
    }
  }
  return top;
}

}  // namespace

TEST_CASE("top pixels: any blocking gives the sorted list's head, ties by name", "[uniq][property]") {
  const int64_t values = GENERATE(1, 4, 1000);
  const Pixels pixels = many_ties(5, 301, values, 1);
  for (const int64_t k : {1, 7, 400}) {
    for (const int64_t block : {1, 16, 17, 301}) {
      const uniq::TopPixels top = collect(pixels, k, block == 1 ? 2 : 5, block, c10::kCPU);
      for (int64_t q = 0; q < 5; ++q) check_same(top.sorted(q), oracle(pixels, q, k));
    }
  }
}

TEST_CASE("top pixels: left-out pairs and NaN are never taken", "[uniq][property]") {
  Pixels pixels = many_ties(2, 50, 5, 2);
  pixels.logits[0].slice(0, 3, 40).fill_(-std::numeric_limits<float>::infinity());
  pixels.logits[1].fill_(-std::numeric_limits<float>::infinity());
  const auto expected = oracle(pixels, 0, 20);
  pixels.logits[0].slice(0, 3, 10).fill_(std::numeric_limits<float>::quiet_NaN());
  const uniq::TopPixels top = collect(pixels, 20, 2, 50, c10::kCPU);
  check_same(top.sorted(0), expected);
  CHECK(top.sorted(0).size() == 13);
  CHECK(top.sorted(1).empty());
}

TEST_CASE("top pixels: nothing in, nothing out", "[uniq][property]") {
  uniq::TopPixels top(2, 3);
  top.add(0, at::zeros({2, 0}), {});
  top.add(2, at::zeros({0, 0}), {});
  CHECK(top.sorted(1).empty());
}

TEST_CASE("top pixels: a GPU finds what the CPU finds", "[uniq][gpu]") {
  if (!torch::cuda::is_available()) {
    WARN("skipped: no CUDA device");
    return;
  }
  for (const int64_t values : {1, 4, 100000}) {
    Pixels pixels = many_ties(6, 3001, values, 3);
    pixels.logits[2].slice(0, 5, 3000).fill_(-std::numeric_limits<float>::infinity());
    pixels.logits[3].slice(0, 5, 1500).fill_(std::numeric_limits<float>::quiet_NaN());
    const uniq::TopPixels cpu = collect(pixels, 16, 6, 3001, c10::kCPU);
    for (const int64_t block : {13, 1000, 3001}) {
      const uniq::TopPixels gpu = collect(pixels, 16, 3, block, c10::kCUDA);
      for (int64_t q = 0; q < 6; ++q) check_same(gpu.sorted(q), cpu.sorted(q));
    }
  }
}
