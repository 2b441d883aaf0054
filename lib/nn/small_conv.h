#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace iuq::nn {

/// Whether small_conv2d is what a step of training should take for this convolution: on the CPU, while gradients are
/// recorded (so that what a finished model gives does not change), where LibTorch's own spends most of its time on anything
/// but arithmetic. It depends on the sizes of one image's map, not on the batch.
bool is_small_conv(const at::Tensor& x, const at::Tensor& weight, int64_t stride);

/// at::conv2d with padding kernel/2 to within rounding, as one matrix product over the neighbourhoods of all cells.
///   x [B, C, H, W] float32 on the CPU, weight [O, C, k, k] float32, k odd, bias [O] float32 or undefined
///   returns [B, O, ceil(H/stride), ceil(W/stride)] float32, channels last; gradients flow to all three, once.
/// Keeps k*k maps the size of x for the backward pass.
at::Tensor small_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride);

}  // namespace iuq::nn
