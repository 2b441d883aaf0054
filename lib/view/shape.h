#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <string_view>

#include "lib/base/error.h"

namespace iuq::view {

/// Throws unless `tensor` has this shape, where -1 stands for any size, and this type. Looks at sizes and type alone, never at
/// values, so it does not wait for a device.
///   name  of the tensor in the message; "[]" in it becomes "[index]", so that names of many tensors cost nothing
///   code  kInternal where the caller is ours, kBadData where the tensor comes out of a file
/// The message: `backbone[2] must be [2, 64, *, *] float32, but is [2, 32, 8, 8] float32`.
void expect_shape(const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type, std::string_view name,
                  int64_t index = -1, ErrorCode code = ErrorCode::kInternal);

/// The same for the length of a list: `truth must be 2 long, but is 1 long`.
void expect_count(size_t found, size_t wanted, std::string_view name, ErrorCode code = ErrorCode::kInternal);

}  // namespace iuq::view
