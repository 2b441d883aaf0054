#include "lib/weights/change.h"

#include <cstring>

#include "lib/base/error.h"

namespace iuq::weights {

io::TensorData join_thirds(const std::vector<io::TensorData>& thirds) {
  IUQ_ASSERT(thirds.size() == 3);
  std::vector<std::byte> bytes;
  for (const io::TensorData& third : thirds) {
    if (third.shape.empty() || third.shape != thirds[0].shape || third.dtype != thirds[0].dtype) {
      throw Error(ErrorCode::kBadData, cat("parts ", io::describe(thirds[0]), " and ", io::describe(third), " do not join"));
    }
    bytes.insert(bytes.end(), third.data, third.data + third.bytes);
  }
  std::vector<int64_t> shape = thirds[0].shape;
  shape[0] *= 3;
  return io::make_tensor(thirds[0].dtype, shape, bytes.data());
}

io::TensorData third_of(const io::TensorData& whole, int part) {
  if (whole.shape.empty() || whole.shape[0] % 3 != 0) {
    throw Error(ErrorCode::kBadData, cat(io::describe(whole), " does not fall into three parts"));
  }
  std::vector<int64_t> shape = whole.shape;
  shape[0] /= 3;
  return io::make_tensor(whole.dtype, shape, whole.data + whole.bytes / 3 * static_cast<size_t>(part));
}

io::TensorData reorder_merging(const io::TensorData& tensor, bool to_ours) {
  if (tensor.shape.empty() || tensor.shape.back() % 4 != 0 || tensor.count() == 0) {
    throw Error(ErrorCode::kBadData, cat(io::describe(tensor), " has no four phases on its last axis"));
  }
  const auto row = static_cast<size_t>(tensor.shape.back()), channels = row / 4, size = io::size_of(tensor.dtype);
  const size_t phase[4] = {0, 2, 1, 3};  // where theirs has our phases
  std::vector<std::byte> bytes(tensor.bytes);
  for (size_t start = 0; start < tensor.bytes; start += row * size) {
    for (size_t p = 0; p < 4; ++p) {
      for (size_t c = 0; c < channels; ++c) {
        const size_t ours = p * channels + c, theirs = c * 4 + phase[p];
        const size_t to = to_ours ? ours : theirs, from = to_ours ? theirs : ours;
        std::memcpy(bytes.data() + start + to * size, tensor.data + start + from * size, size);
      }
    }
  }
  return io::make_tensor(tensor.dtype, tensor.shape, bytes.data());
}

}  // namespace iuq::weights
