#include "lib/io/tensor_file.h"

#include <array>
#include <bit>
#include <cstring>

#include "lib/base/digest.h"
#include "lib/base/error.h"

namespace iuq::io {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored little endian and never swapped");

struct Row {
  DType dtype;
  const char* name;
  size_t size;
};
constexpr std::array<Row, 10> kRows = {{{DType::kF64, "F64", 8},
                                        {DType::kF32, "F32", 4},
                                        {DType::kF16, "F16", 2},
                                        {DType::kBF16, "BF16", 2},
                                        {DType::kI64, "I64", 8},
                                        {DType::kI32, "I32", 4},
                                        {DType::kI16, "I16", 2},
                                        {DType::kI8, "I8", 1},
                                        {DType::kU8, "U8", 1},
                                        {DType::kBool, "BOOL", 1}}};

}  // namespace

size_t size_of(DType dtype) { return kRows[static_cast<size_t>(dtype)].size; }
const char* name_of(DType dtype) { return kRows[static_cast<size_t>(dtype)].name; }

bool dtype_of(std::string_view name, DType& dtype) {
  for (const Row& row : kRows) {
    if (name != row.name) continue;
    dtype = row.dtype;
    return true;
  }
  return false;
}

void TensorData::check_element_size(size_t size) const {
  if (size == size_of(dtype)) return;
  throw Error(ErrorCode::kBadData, cat("a tensor ", describe(*this), " cannot be read as ", size, "-byte elements"));
}

bool byte_size(DType dtype, const std::vector<int64_t>& shape, size_t& bytes) {
  bytes = size_of(dtype);
  bool empty = false, overflow = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return false;
    empty = empty || extent == 0;
    if (!empty) overflow = overflow || __builtin_mul_overflow(bytes, static_cast<size_t>(extent), &bytes);
  }
  if (empty) bytes = 0;
  return empty || (!overflow && bytes <= static_cast<size_t>(INT64_MAX));
}

TensorData make_tensor(DType dtype, std::vector<int64_t> shape, const void* bytes) {
  TensorData tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  if (!byte_size(dtype, tensor.shape, tensor.bytes)) {
    throw Error(ErrorCode::kBadData, "a tensor's shape is negative or too large");
  }
  // operator new aligns to 16 bytes, enough for every element type.
  auto memory = std::make_shared<std::vector<std::byte>>(tensor.bytes);
  if (bytes && tensor.bytes) std::memcpy(memory->data(), bytes, tensor.bytes);
  tensor.data = memory->data();
  tensor.owner = std::move(memory);
  return tensor;
}

std::string describe(const TensorData& tensor) {
  std::string text = "[";
  for (size_t i = 0; i < tensor.shape.size(); ++i) text += cat(i ? ", " : "", tensor.shape[i]);
  return cat(text, "] ", name_of(tensor.dtype));
}

const TensorData* TensorFile::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

std::string content_digest(const TensorFile& file) {
  Digest digest;
  for (const auto& [name, tensor] : file.tensors) {
    digest.add(name).add(describe(tensor)).add(tensor.data, tensor.bytes);
  }
  return digest.hex();
}

}  // namespace iuq::io
