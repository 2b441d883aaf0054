#include "lib/nn/deform_kernel.h"

#include <array>
#include <cmath>

// This file is compiled with -O3 (lib/nn/CMakeLists.txt): its inner loops over the depth are written for the vectoriser.
// On x86-64, where the baseline is SSE2, each kernel is compiled for AVX2 too and called where the processor has it;
// AVX-512 was no faster.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define IUQ_AVX2_VARIANT
#endif

namespace iuq::nn {
namespace {

#define IUQ_INLINE inline __attribute__((always_inline))

constexpr int64_t kLanes = 8;        // partial sums of a dot product: the same order of additions for any vector width
constexpr int64_t kUsualDepth = 32;  // 256 channels, 8 heads: gets a loop of known length

/// The four pixels around a location and their shares in its value.
template <class T>
struct Corners {
  std::array<int64_t, 4> token;  // top left, top right, bottom left, bottom right
  std::array<bool, 4> inside;
  T right, below;                // how far the location is from the top left pixel, in pixels, [0, 1)

  IUQ_INLINE T share(int corner) const {
    return (corner & 1 ? right : 1 - right) * (corner & 2 ? below : 1 - below);
  }
};

// Pixel centres are at (i + 0.5) / size: align_corners is false. Returns whether any corner is inside.
template <class T>
IUQ_INLINE bool find_corners(const DeformLevel& level, const T* location, Corners<T>& out) {
  const T x = location[0] * static_cast<T>(level.width) - static_cast<T>(0.5);
  const T y = location[1] * static_cast<T>(level.height) - static_cast<T>(0.5);
  // Before the conversion to integers, which is undefined for what does not fit; false for NaN.
  if (!(x > -1 && y > -1 && x < static_cast<T>(level.width) && y < static_cast<T>(level.height))) return false;
  const auto left = static_cast<int64_t>(x + 1) - 1;  // floor, as x + 1 is positive
  const auto top = static_cast<int64_t>(y + 1) - 1;
  out.right = x - static_cast<T>(left);
  out.below = y - static_cast<T>(top);
  const bool has_left = left >= 0, has_right = left + 1 < level.width;
  const bool has_top = top >= 0, has_bottom = top + 1 < level.height;
  const int64_t token = level.first + top * level.width + left;
  out.token = {token, token + 1, token + level.width, token + level.width + 1};
  out.inside = {has_top && has_left, has_top && has_right, has_bottom && has_left, has_bottom && has_right};
  return true;
}

template <class T, int64_t D>
IUQ_INLINE void forward_pieces(const DeformArguments<T>& p, int64_t begin, int64_t end) {
  const int64_t depth = D > 0 ? D : p.depth;
  const auto level_count = static_cast<int64_t>(p.levels.size());
  const int64_t samples = level_count * p.points;
  const int64_t stride = p.heads * depth;
  for (int64_t piece = begin; piece < end; ++piece) {
    const int64_t q = piece % p.queries, head = piece / p.queries % p.heads, b = piece / p.queries / p.heads;
    const int64_t row = (b * p.queries + q) * p.heads + head;
    const T* location = p.locations + row * samples * 2;
    const T* weight = p.weights + row * samples;
    const T* const value = p.value + b * p.tokens * stride + head * depth;
    T* __restrict const out = p.out + row * depth;
    std::array<T, (D > 0 ? D : 1)> local;  // the sum, in registers where the depth is known
    T* __restrict const sum = D > 0 ? local.data() : out;
    for (int64_t i = 0; i < depth; ++i) sum[i] = 0;
    for (const DeformLevel& level : p.levels) {
      for (int64_t k = 0; k < p.points; ++k, location += 2, ++weight) {
        Corners<T> at;
        if (!find_corners(level, location, at)) {
          const T poison = location[0] + location[1];
          for (int64_t i = 0; poison != poison && i < depth; ++i) sum[i] = poison;
          continue;
        }
        for (int c = 0; c < 4; ++c) {
          if (!at.inside[c]) continue;
          const T factor = at.share(c) * *weight;
          const T* __restrict const pixel = value + at.token[c] * stride;
          for (int64_t i = 0; i < depth; ++i) sum[i] += factor * pixel[i];
        }
      }
    }
    if (D > 0) {
      for (int64_t i = 0; i < depth; ++i) out[i] = sum[i];
    }
  }
}

// grad_pixel += factor * grad; returns grad . pixel.
template <class T, int64_t D>
IUQ_INLINE T pull_back(const T* __restrict grad, const T* __restrict pixel, T* __restrict grad_pixel, T factor,
                       int64_t depth) {
  std::array<T, kLanes> sums{};
  int64_t i = 0;
  for (; i + kLanes <= depth; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += grad[i + lane] * pixel[i + lane];
      grad_pixel[i + lane] += factor * grad[i + lane];
    }
  }
  for (int64_t lane = 0; i + lane < depth; ++lane) {
    sums[lane] += grad[i + lane] * pixel[i + lane];
    grad_pixel[i + lane] += factor * grad[i + lane];
  }
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

template <class T, int64_t D>
IUQ_INLINE void backward_pieces(const DeformArguments<T>& p, int64_t begin, int64_t end) {
  const int64_t depth = D > 0 ? D : p.depth;
  const auto level_count = static_cast<int64_t>(p.levels.size());
  const int64_t stride = p.heads * depth;
  for (int64_t piece = begin; piece < end; ++piece) {
    const int64_t l = piece % level_count, head = piece / level_count % p.heads, b = piece / level_count / p.heads;
    const DeformLevel& level = p.levels[static_cast<size_t>(l)];
    const int64_t offset = b * p.tokens * stride + head * depth;
    const T* const value = p.value + offset;
    T* const grad_value = p.grad_value + offset;
    for (int64_t q = 0; q < p.queries; ++q) {
      const int64_t row = (b * p.queries + q) * p.heads + head;
      const T* const grad = p.grad_out + row * depth;
      for (int64_t k = 0; k < p.points; ++k) {
        const int64_t sample = (row * level_count + l) * p.points + k;
        const T weight = p.weights[sample];
        T* const to = p.grad_locations + 2 * sample;
        Corners<T> at;
        if (!find_corners(level, p.locations + 2 * sample, at)) {
          to[0] = to[1] = p.grad_weights[sample] = 0;
          continue;
        }
        std::array<T, 4> dot{};  // of the output's gradient with each corner
        for (int c = 0; c < 4; ++c) {
          if (!at.inside[c]) continue;
          const int64_t token = at.token[c] * stride;
          dot[c] = pull_back<T, D>(grad, value + token, grad_value + token, at.share(c) * weight, depth);
        }
        const T along_x = (1 - at.below) * (dot[1] - dot[0]) + at.below * (dot[3] - dot[2]);
        const T along_y = (1 - at.right) * (dot[2] - dot[0]) + at.right * (dot[3] - dot[1]);
        to[0] = along_x * weight * static_cast<T>(level.width);
        to[1] = along_y * weight * static_cast<T>(level.height);
        p.grad_weights[sample] =
            at.share(0) * dot[0] + at.share(1) * dot[1] + at.share(2) * dot[2] + at.share(3) * dot[3];
      }
    }
  }
}

#define IUQ_VARIANT(NAME, ATTRIBUTE)                                                       \
  template <class T>                                                                       \
  ATTRIBUTE void forward_##NAME(const DeformArguments<T>& p, int64_t begin, int64_t end) {   \
    if (p.depth == kUsualDepth) return forward_pieces<T, kUsualDepth>(p, begin, end);      \
    forward_pieces<T, 0>(p, begin, end);                                                   \
  }                                                                                        \
  template <class T>                                                                       \
  ATTRIBUTE void backward_##NAME(const DeformArguments<T>& p, int64_t begin, int64_t end) {  \
    if (p.depth == kUsualDepth) return backward_pieces<T, kUsualDepth>(p, begin, end);     \
    backward_pieces<T, 0>(p, begin, end);                                                  \
  }

IUQ_VARIANT(baseline, )
#ifdef IUQ_AVX2_VARIANT
IUQ_VARIANT(avx2, __attribute__((target("avx2,fma"))))
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace

template <class T>
void deform_forward(const DeformArguments<T>& arguments, int64_t begin, int64_t end) {
#ifdef IUQ_AVX2_VARIANT
  if (has_avx2()) return forward_avx2(arguments, begin, end);
#endif
  forward_baseline(arguments, begin, end);
}

template <class T>
void deform_backward(const DeformArguments<T>& arguments, int64_t begin, int64_t end) {
#ifdef IUQ_AVX2_VARIANT
  if (has_avx2()) return backward_avx2(arguments, begin, end);
#endif
  backward_baseline(arguments, begin, end);
}

template void deform_forward<float>(const DeformArguments<float>&, int64_t, int64_t);
template void deform_forward<double>(const DeformArguments<double>&, int64_t, int64_t);
template void deform_backward<float>(const DeformArguments<float>&, int64_t, int64_t);
template void deform_backward<double>(const DeformArguments<double>&, int64_t, int64_t);

}  // namespace iuq::nn
