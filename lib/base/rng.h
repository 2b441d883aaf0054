#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace iuq {

/// A counter-based random stream: the n-th number is a function of (seed, purpose, a, b, n) alone, so results never
/// depend on threads, shards or where a run was resumed. Numbers are those of splitmix64 on a hashed key.
class Rng {
 public:
  Rng(uint64_t seed, std::string_view purpose, uint64_t a = 0, uint64_t b = 0);

  uint64_t next();                           // 64 uniform bits
  double uniform();                          // [0, 1)
  double uniform(double low, double high);   // [low, high)
  int64_t below(int64_t n);                  // 0..n-1, n > 0, without modulo bias
  std::vector<int64_t> permutation(int64_t n);
  /// k different numbers of 0..n-1 in random order; all n (shuffled) when k >= n.
  std::vector<int64_t> sample(int64_t n, int64_t k);

 private:
  uint64_t state_;
};

}  // namespace iuq
