#include "lib/view/shape.h"

#include <string>

namespace iuq::view {
namespace {

bool fits(at::IntArrayRef sizes, at::IntArrayRef shape) {
  if (sizes.size() != shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0 && shape[i] != sizes[i]) return false;
  }
  return true;
}

std::string type_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return "float32";
    case at::kDouble: return "float64";
    case at::kHalf: return "float16";
    case at::kBFloat16: return "bfloat16";
    case at::kLong: return "int64";
    case at::kInt: return "int32";
    case at::kByte: return "uint8";
    case at::kBool: return "bool";
    default: return c10::toString(type);
  }
}

std::string describe(at::IntArrayRef shape, at::ScalarType type) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + (shape[i] < 0 ? std::string("*") : std::to_string(shape[i]));
  }
  return text + "] " + type_name(type);
}

[[noreturn]] void refuse(ErrorCode code, std::string_view name, const std::string& wanted, const std::string& found) {
  throw Error(code, cat(code == ErrorCode::kInternal ? "internal error: " : "", name, " must be ", wanted, ", but is ", found));
}

}  // namespace

void expect_shape(const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type, std::string_view name,
                  int64_t index, ErrorCode code) {
  if (tensor.defined() && tensor.scalar_type() == type && fits(tensor.sizes(), shape)) return;
  std::string full(name);
  if (const size_t at = full.find("[]"); at != std::string::npos) full.insert(at + 1, std::to_string(index));
  refuse(code, full, describe(shape, type),
         tensor.defined() ? describe(tensor.sizes(), tensor.scalar_type()) : "undefined");
}

void expect_count(size_t found, size_t wanted, std::string_view name, ErrorCode code) {
  if (found != wanted) refuse(code, name, cat(wanted, " long"), cat(found, " long"));
}

}  // namespace iuq::view
