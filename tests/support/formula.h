#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

// Tensors by formula: the reference (scripts/gen_fixtures_*.py, numpy) and the tests make the same values, so that
// fixtures need not store them.
namespace iuq::test {

inline uint64_t bits_at(uint64_t key, int64_t i) {
  uint64_t z = key + (static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// FNV-1a 64.
inline uint64_t key_of(std::string_view name) {
  uint64_t key = 0xcbf29ce484222325u;
  for (const char c : name) key = (key ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return key;
}

inline std::vector<uint64_t> bits(std::string_view name, int64_t count) {
  std::vector<uint64_t> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(bits_at(key_of(name), i));
  return result;
}

/// Uniform values in [low, high) at flat indices 0, 1, ...
inline void fill(std::string_view name, double low, double high, float* out, int64_t count) {
  const uint64_t key = key_of(name);
  for (int64_t i = 0; i < count; ++i) {
    const double u = static_cast<double>(bits_at(key, i) >> 11) * 0x1p-53;
    out[i] = static_cast<float>(low + (high - low) * u);
  }
}

}  // namespace iuq::test
