#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace iuq::io {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

size_t size_of(DType dtype);        // bytes per element
const char* name_of(DType dtype);   // safetensors' name: "F32", "BF16", "BOOL", ...
/// False if safetensors has no such name, or it is one this project does not store (U32, F8_E4M3, ...).
bool dtype_of(std::string_view name, DType& dtype);

/// One tensor outside of LibTorch: contiguous (last axis fastest), little endian, aligned to its element size.
/// A cheap value: copies share the bytes, which `owner` keeps alive (a mapped file, or memory).
struct TensorData {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // [] is a scalar
  std::shared_ptr<const void> owner;
  const std::byte* data = nullptr;
  size_t bytes = 0;  // product of shape * size_of(dtype)

  int64_t count() const { return static_cast<int64_t>(bytes / size_of(dtype)); }
  /// Elements, when `T` has the element size; Error(kBadData) if not.
  template <class T>
  const T* as() const {
    check_element_size(sizeof(T));
    return reinterpret_cast<const T*>(data);
  }
  void check_element_size(size_t size) const;
};

/// A tensor that owns a copy of `bytes`, or zeros when `bytes` is null. Error(kBadData) if the shape is negative or
/// its size overflows.
TensorData make_tensor(DType dtype, std::vector<int64_t> shape, const void* bytes = nullptr);
/// Product of the shape times the element size. False if an extent is negative or the product overflows.
bool byte_size(DType dtype, const std::vector<int64_t>& shape, size_t& bytes);
/// "[64, 3, 7, 7] F32", for messages and lists.
std::string describe(const TensorData& tensor);

/// Named tensors with text metadata: what a weights file holds.
struct TensorFile {
  std::vector<std::pair<std::string, TensorData>> tensors;  // in file order, names unique
  std::map<std::string, std::string> metadata;

  const TensorData* find(std::string_view name) const;  // null when absent
};

/// Digest of names, types, shapes and bytes of the tensors in file order; metadata is left out.
std::string content_digest(const TensorFile& file);

}  // namespace iuq::io
