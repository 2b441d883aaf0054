#include "lib/train/update_kernel.h"

#include <array>
#include <cmath>

// This file is compiled with -O3 (lib/train/CMakeLists.txt): its loops are written for the vectoriser. On x86-64, where the
// baseline is SSE2, each kernel is compiled for AVX2 too and called where the processor has it.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define IUQ_AVX2_VARIANT
#endif

namespace iuq::train {
namespace {

#define IUQ_INLINE inline __attribute__((always_inline))

// a * b + c, rounded once where the processor can: so do LibTorch's own additions of a multiple. The rest of a formula is
// rounded at each operation (-ffp-contract=off), as by LibTorch's; its square root alone differs, by a last bit.
template <bool Fused>
IUQ_INLINE float add_multiple(float a, float b, float c) {
  return Fused ? __builtin_fmaf(a, b, c) : a * b + c;
}

template <bool Fused>
IUQ_INLINE void sgd(float* __restrict value, const float* __restrict gradient, float* __restrict velocity, int64_t count,
                    const SgdFactors& f) {
  const float rate = -f.lr, momentum = f.momentum, decay = f.weight_decay;
  if (velocity == nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      value[i] = add_multiple<Fused>(rate, add_multiple<Fused>(decay, value[i], gradient[i]), value[i]);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    velocity[i] = momentum * velocity[i] + add_multiple<Fused>(decay, value[i], gradient[i]);
    value[i] = add_multiple<Fused>(rate, velocity[i], value[i]);
  }
}

template <bool Fused>
IUQ_INLINE void adamw(float* __restrict value, const float* __restrict gradient, float* __restrict mean,
                      float* __restrict square, int64_t count, const AdamwFactors& f) {
  const AdamwFactors k = f;  // which the loop's writes cannot change
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i];
    mean[i] = add_multiple<Fused>(g, k.new_mean, k.old_mean * mean[i]);
    square[i] = add_multiple<Fused>(k.new_square * g, g, k.old_square * square[i]);
    value[i] = k.decay * value[i] + -k.rate * mean[i] / (std::sqrt(square[i]) / k.square_scale + k.eps);
  }
}

// Sums of float squares in double, side by side: the same order of additions for any vector width.
IUQ_INLINE double squares(const float* __restrict values, int64_t count) {
  constexpr int64_t kLanes = 8;
  std::array<double, kLanes> sums{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double x = values[i + lane];
      sums[lane] += x * x;
    }
  }
  for (int64_t lane = 0; i + lane < count; ++lane) {
    const double x = values[i + lane];
    sums[lane] += x * x;
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

#ifdef IUQ_AVX2_VARIANT
namespace {
#define IUQ_AVX2 __attribute__((target("avx2,fma")))
IUQ_AVX2 void sgd_avx2(float* v, const float* g, float* m, int64_t n, const SgdFactors& f) {
  sgd<true>(v, g, m, n, f);
}
IUQ_AVX2 void adamw_avx2(float* v, const float* g, float* m, float* s, int64_t n, const AdamwFactors& f) {
  adamw<true>(v, g, m, s, n, f);
}
IUQ_AVX2 double squares_avx2(const float* v, int64_t n) { return squares(v, n); }
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
}  // namespace
#endif

void sgd_update(float* value, const float* gradient, float* velocity, int64_t count, const SgdFactors& factors) {
#ifdef IUQ_AVX2_VARIANT
  if (has_avx2()) return sgd_avx2(value, gradient, velocity, count, factors);
#endif
  sgd<false>(value, gradient, velocity, count, factors);
}

void adamw_update(float* value, const float* gradient, float* mean, float* square, int64_t count,
                  const AdamwFactors& factors) {
#ifdef IUQ_AVX2_VARIANT
  if (has_avx2()) return adamw_avx2(value, gradient, mean, square, count, factors);
#endif
  adamw<false>(value, gradient, mean, square, count, factors);
}

double sum_of_squares(const float* values, int64_t count) {
#ifdef IUQ_AVX2_VARIANT
  if (has_avx2()) return squares_avx2(values, count);
#endif
  return squares(values, count);
}

void scale(float* values, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factor;
}

}  // namespace iuq::train
