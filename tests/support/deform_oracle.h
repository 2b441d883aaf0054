#pragma once
// Deformable attention as its definition says, one number at a time in double: what lib/nn/deform_attn must agree with.

#include <torch/types.h>

#include <cmath>

#include "lib/nn/deform_attn.h"

namespace iuq::test {

/// value at a point of a map, (0, 0) is the centre of its first pixel; pixels outside count as 0.
inline double bilinear(const at::TensorAccessor<double, 4>& value, int64_t b, int64_t first, int64_t height, int64_t width,
                       int64_t head, int64_t channel, double y, double x) {
  double sum = 0;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const double share = std::max(0.0, 1 - std::abs(y - static_cast<double>(i))) *
                           std::max(0.0, 1 - std::abs(x - static_cast<double>(j)));
      if (share > 0) sum += share * value[b][first + i * width + j][head][channel];
    }
  }
  return sum;
}

/// Arguments and result as those of nn::deform_attn, float64.
inline at::Tensor deform_oracle(const at::Tensor& value, const nn::LevelShapes& shapes, const at::Tensor& locations,
                                const at::Tensor& weights) {
  const int64_t heads = value.size(2), depth = value.size(3), queries = weights.size(1), points = weights.size(4);
  const at::Tensor out = at::zeros({value.size(0), queries, heads * depth}, at::kDouble);
  const auto v = value.accessor<double, 4>();
  const auto at = locations.accessor<double, 6>();
  const auto w = weights.accessor<double, 5>();
  auto o = out.accessor<double, 3>();
  for (int64_t b = 0; b < value.size(0); ++b)
    for (int64_t q = 0; q < queries; ++q)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t c = 0; c < depth; ++c) {
          int64_t first = 0;
          for (size_t l = 0; l < shapes.size(); ++l) {
            const auto [height, width] = shapes[l];
            const auto level = static_cast<int64_t>(l);
            for (int64_t k = 0; k < points; ++k) {
              const double x = at[b][q][h][level][k][0] * static_cast<double>(width) - 0.5;
              const double y = at[b][q][h][level][k][1] * static_cast<double>(height) - 0.5;
              o[b][q][h * depth + c] += w[b][q][h][level][k] * bilinear(v, b, first, height, width, h, c, y, x);
            }
            first += height * width;
          }
        }
  return out;
}

}  // namespace iuq::test
