#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "lib/view/transform.h"

namespace iuq::nn {

/// How the tokens of one map, H x W row by row, lie in square windows: the map is padded right and below to whole windows,
/// rolled by -shift on both axes, and cut. A window has N = side * side slots, row by row, each for a token or
/// for padding.
/// Source: REFERENCE.md 3.2; Liu et al., "Swin Transformer", section 3.2.
struct WindowPlan {
  int64_t windows = 0, slots = 0;  // windows of the map, N of a window
  at::Tensor token;                // [windows * N] int64: the token in each slot; 0 where padding is
  at::Tensor slot;                 // [H * W] int64: the slot of each token
  at::Tensor pads;                 // [P] int64, ascending: slots with padding
  std::vector<int64_t> pad_list;   // the same on the host
  // Where rolling brings together what does not touch, in the last row and the last column of windows, tokens see their own
  // side only. The reference adds -100 across; -inf makes the weight an exact 0 and never a denormal number, which is slow.
  at::Tensor kind;  // [windows] int64 in 0..3: 2 in the last row, plus 1 in the last column; undefined without a shift
  at::Tensor mask;  // [4, 1, N, N] float32 of 0 and -inf, by kind; undefined without a shift
};
/// `shift` in 0..side-1.
WindowPlan plan_windows(view::Size map, int64_t side, int64_t shift, c10::Device device);

/// Row of the table of relative positions for each query and key of a window: [N * N] int64 on the CPU, query by query:
/// (dy + side - 1) * (2 side - 1) + dx + side - 1 with the query's row and column minus the key's.
at::Tensor relative_positions(int64_t side);

/// A table of relative positions [(2 v - 1)^2, heads] for windows of `side` instead of v: resized like an image, bicubic,
/// align_corners false. Source: REFERENCE.md 3.3.
at::Tensor resize_positions(const at::Tensor& table, int64_t side);

/// rows [B * H * W, C] of B maps -> [B * windows * N, C]; 0 where padding is. Differentiable.
at::Tensor to_windows(const at::Tensor& rows, const WindowPlan& plan);
/// The reverse: [B * windows * N, C] -> [B * H * W, C]. Differentiable.
at::Tensor from_windows(const at::Tensor& rows, const WindowPlan& plan);

}  // namespace iuq::nn
