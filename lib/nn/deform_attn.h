#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace iuq::nn {

/// Height and width of each map of a pyramid, in the order in which they lie in the token axis, row-major each.
using LevelShapes = std::vector<std::pair<int64_t, int64_t>>;

/// The sampling of multi-scale deformable attention (Zhu et al. 2021, equation 3; REFERENCE.md 4): each query of each
/// head sums, over levels and points, the head's value at a location times the weight given for it.
///   value     [B, tokens, heads, depth], tokens = sum of height * width
///   locations [B, queries, heads, L, points, 2] x then y, in units of the level's width and height: 0 and 1 are the
///             outer edges of the first and last pixel (align_corners false); bilinear, 0 outside
///   weights   [B, queries, heads, L, points], usually a softmax over (L, points)
///   result    [B, queries, heads * depth]
/// All of one floating dtype and device; no queries are allowed. Differentiable once in all three.
/// float32 and float64 on a CPU take a kernel whose result does not depend on the number of threads; the rest is
/// sampled_attention.
at::Tensor deform_attn(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                       const at::Tensor& weights);

/// The same by grid_sample, on any device: slower, and it keeps the samples of all levels for the backward pass.
at::Tensor sampled_attention(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                             const at::Tensor& weights);

}  // namespace iuq::nn
