#include "lib/base/rng.h"

#include <unordered_map>

#include "lib/base/error.h"

namespace iuq {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

}  // namespace

Rng::Rng(uint64_t seed, std::string_view purpose, uint64_t a, uint64_t b) {
  uint64_t name = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : purpose) name = (name ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  state_ = mix(seed + kGolden);
  for (const uint64_t part : {name, a, b}) state_ = mix(state_ + kGolden) ^ mix(part + kGolden);
}

uint64_t Rng::next() { return mix(state_ += kGolden); }

double Rng::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

int64_t Rng::below(int64_t n) {
  IUQ_ASSERT(n > 0);
  const auto bound = static_cast<uint64_t>(n);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = next();
  while (value >= limit) value = next();
  return static_cast<int64_t>(value % bound);
}

std::vector<int64_t> Rng::permutation(int64_t n) { return sample(n, n); }

std::vector<int64_t> Rng::sample(int64_t n, int64_t k) {
  if (k > n) k = n;
  // Fisher-Yates over a sparse identity, so that a few of very many cost little.
  std::unordered_map<int64_t, int64_t> moved;
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(k));
  const auto at = [&](int64_t i) {
    const auto it = moved.find(i);
    return it == moved.end() ? i : it->second;
  };
  for (int64_t i = 0; i < k; ++i) {
    const int64_t j = i + below(n - i);
    out.push_back(at(j));
    moved[j] = at(i);
  }
  return out;
}

}  // namespace iuq
