#include "lib/model/tensor_bridge.h"

#include <torch/types.h>

#include <array>
#include <cstring>

#include "lib/base/error.h"

namespace iuq::model {
namespace {

constexpr std::array<std::pair<io::DType, at::ScalarType>, 10> kTypes = {{
    {io::DType::kF64, at::kDouble},
    {io::DType::kF32, at::kFloat},
    {io::DType::kF16, at::kHalf},
    {io::DType::kBF16, at::kBFloat16},
    {io::DType::kI64, at::kLong},
    {io::DType::kI32, at::kInt},
    {io::DType::kI16, at::kShort},
    {io::DType::kI8, at::kChar},
    {io::DType::kU8, at::kByte},
    {io::DType::kBool, at::kBool},
}};

}  // namespace

io::TensorData to_tensor_data(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  for (const auto& [dtype, type] : kTypes) {
    if (type == plain.scalar_type()) return io::make_tensor(dtype, plain.sizes().vec(), plain.data_ptr());
  }
  throw Error(ErrorCode::kInternal, cat("no file type for tensors of ", toString(plain.scalar_type())));
}

at::Tensor to_tensor(const io::TensorData& data) {
  for (const auto& [dtype, type] : kTypes) {
    if (dtype != data.dtype) continue;
    at::Tensor tensor = at::empty(data.shape, type);
    if (data.bytes > 0) std::memcpy(tensor.data_ptr(), data.data, data.bytes);
    return tensor;
  }
  throw Error(ErrorCode::kInternal, "unknown file type");
}

}  // namespace iuq::model
