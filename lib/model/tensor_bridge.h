#pragma once

#include <ATen/core/Tensor.h>

#include "lib/io/tensor_file.h"

namespace iuq::model {

/// LibTorch's tensors as files hold them, and back. Both copy; float16 and bfloat16 stay what they are.
io::TensorData to_tensor_data(const at::Tensor& tensor);
at::Tensor to_tensor(const io::TensorData& data);  // on the CPU

}  // namespace iuq::model
