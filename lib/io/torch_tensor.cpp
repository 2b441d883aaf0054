#include "lib/io/torch_tensor.h"

#include <array>
#include <cstring>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

using pickle::Value;
using Kind = Value::Kind;

constexpr size_t kMaxAxes = 16;

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// numpy 2 moved its internals from numpy.core to numpy._core.
std::string_view numpy_function(const Value& value) {
  std::string_view name = value.function();
  for (const std::string_view prefix : {"numpy.core.", "numpy._core."}) {
    if (starts_with(name, prefix)) return name.substr(prefix.size());
  }
  return {};
}

std::string_view torch_function(const Value& value) {
  const std::string_view prefix = "torch._utils.";
  return starts_with(value.function(), prefix) ? value.function().substr(prefix.size()) : std::string_view();
}

bool dtype_of_storage(std::string_view name, DType& dtype) {
  static constexpr std::array<std::pair<std::string_view, DType>, 10> kNames = {
      {{"Double", DType::kF64}, {"Float", DType::kF32}, {"Half", DType::kF16}, {"BFloat16", DType::kBF16},
       {"Long", DType::kI64}, {"Int", DType::kI32}, {"Short", DType::kI16}, {"Char", DType::kI8},
       {"Byte", DType::kU8}, {"Bool", DType::kBool}}};
  for (const std::string_view prefix : {"torch.cuda.", "torch."}) {
    if (!starts_with(name, prefix)) continue;
    for (const auto& [stem, type] : kNames) {
      if (name.substr(prefix.size()) != std::string(stem) + "Storage") continue;
      dtype = type;
      return true;
    }
  }
  return false;
}

// numpy's dtype("f4") with its state (version, "<", ...).
bool dtype_of_numpy(const Value& value, DType& dtype, std::string& why) {
  static constexpr std::array<std::pair<std::string_view, DType>, 9> kCodes = {
      {{"f8", DType::kF64}, {"f4", DType::kF32}, {"f2", DType::kF16}, {"i8", DType::kI64}, {"i4", DType::kI32},
       {"i2", DType::kI16}, {"i1", DType::kI8}, {"u1", DType::kU8}, {"b1", DType::kBool}}};
  const auto* arguments = value.arguments();
  if (value.function() != "numpy.dtype" || !arguments || arguments->empty() || !arguments->front()->is(Kind::kText)) {
    why = "a numpy array without a plain dtype";
    return false;
  }
  std::string_view code = arguments->front()->text;
  const bool big = value.state && value.state->is(Kind::kTuple) && value.state->items.size() > 1 &&
                   value.state->items[1]->is(Kind::kText) && value.state->items[1]->text == ">";
  for (const auto& [name, type] : kCodes) {
    if (code == name) {
      dtype = type;
      if (big) why = "a big-endian numpy array";
      return !big;
    }
  }
  why = cat("a numpy array of dtype ", code.substr(0, 20));
  return false;
}

// A tuple of integers >= 0, also as torch.Size.
bool read_extents(const Value& value, std::vector<int64_t>& out) {
  const Value* tuple = &value;
  if (value.function() == "torch.Size" && value.arguments() && value.arguments()->size() == 1) {
    tuple = value.arguments()->front();
  }
  if ((!tuple->is(Kind::kTuple) && !tuple->is(Kind::kList)) || tuple->items.size() > kMaxAxes) return false;
  for (const Value* item : tuple->items) {
    if (!item->is(Kind::kInt) || item->integer < 0) return false;
    out.push_back(item->integer);
  }
  return true;
}

// Protocol 2 has no bytes: they are written as text, one character per byte, to be encoded as latin-1.
bool decode_latin1(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      out.push_back(text[i]);
    } else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size() && (static_cast<uint8_t>(text[i + 1]) & 0xc0) == 0x80) {
      out.push_back(static_cast<char>((c & 0x03) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3f)));
    } else {
      return false;
    }
  }
  return true;
}

// Strides of a contiguous array; `first` for Fortran order, where the first axis is the fastest.
std::vector<int64_t> packed_strides(const std::vector<int64_t>& shape, bool first) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t k = 0; k < shape.size(); ++k) {
    const size_t axis = first ? k : shape.size() - 1 - k;
    strides[axis] = step;
    // An overflow here belongs to a shape that gather() refuses; the wrapped value is never used.
    step = static_cast<int64_t>(static_cast<uint64_t>(step) * static_cast<uint64_t>(shape[axis]));
  }
  return strides;
}

}  // namespace

bool read_storage_id(const Value& value, StorageId& id) {
  if (!value.is(Kind::kPersistent) || !value.items[0]->is(Kind::kTuple)) return false;
  const auto& parts = value.items[0]->items;
  if (parts.size() < 5 || !parts[0]->is(Kind::kText) || parts[0]->text != "storage" || !parts[2]->is(Kind::kText) ||
      !parts[4]->is(Kind::kInt) || parts[4]->integer < 0) {
    return false;
  }
  if (parts.size() > 5 && !parts[5]->is(Kind::kNone)) return false;  // a view of a storage: only before PyTorch 0.4
  id.key = parts[2]->text;
  id.count = parts[4]->integer;
  return parts[1]->is(Kind::kGlobal) && dtype_of_storage(parts[1]->text, id.dtype);
}

TensorMaker::TensorMaker(std::shared_ptr<const void> owner, size_t file_bytes, std::string where)
    : owner_(std::move(owner)), where_(std::move(where)), budget_(16 * file_bytes + (size_t{16} << 20)) {}

void TensorMaker::fail(const std::string& name, const std::string& what) const {
  throw Error(ErrorCode::kBadData, cat(where_, ": tensor \"", name, "\" ", what));
}

bool TensorMaker::is_tensor(const Value& value) {
  const std::string_view torch = torch_function(value), numpy = numpy_function(value);
  return starts_with(torch, "_rebuild_") || numpy == "multiarray._reconstruct" || numpy == "numeric._frombuffer";
}

bool TensorMaker::make(const Value& value, const std::string& name, TensorData& tensor, std::string& why) {
  const Value* inner = &value;
  const std::string_view function = torch_function(value);
  if (function == "_rebuild_parameter" || function == "_rebuild_parameter_with_state") {
    if (!value.arguments() || value.arguments()->empty()) fail(name, "is a parameter without data");
    inner = value.arguments()->front();
  }
  View view{};
  decoded_.reset();
  const bool known = starts_with(torch_function(*inner), "_rebuild_tensor") ? torch_view(*inner, name, view, why)
                                                                            : numpy_view(*inner, name, view, why);
  if (!known) return false;
  tensor = gather(view, name);
  return true;
}

bool TensorMaker::torch_view(const Value& value, const std::string& name, View& view, std::string& why) const {
  const std::string_view function = torch_function(value);
  if (function != "_rebuild_tensor_v2" && function != "_rebuild_tensor") {
    why = cat("a tensor made by ", function.substr(0, 40), ", which is not supported");
    return false;
  }
  const auto* arguments = value.arguments();
  if (!arguments || arguments->size() < 4) fail(name, "lacks its storage, offset, size or stride");
  StorageId id{};
  if (!read_storage_id(*(*arguments)[0], id)) {
    why = "a tensor whose storage is of a type that is not supported (complex, quantised or very old)";
    return false;
  }
  const auto storage = storages_.find(id.key);
  if (storage == storages_.end()) fail(name, cat("is in storage \"", id.key, "\", which the file does not have"));
  size_t bytes = 0;
  if (!byte_size(id.dtype, {id.count}, bytes) || bytes > storage->second.size()) {
    fail(name, cat("is in a storage of ", id.count, " elements, of which the file has ", storage->second.size(), " bytes"));
  }
  if (!(*arguments)[1]->is(Kind::kInt) || (*arguments)[1]->integer < 0 || !read_extents(*(*arguments)[2], view.shape) ||
      !read_extents(*(*arguments)[3], view.strides) || view.shape.size() != view.strides.size()) {
    fail(name, "has an offset, size or stride that is no list of integers >= 0");
  }
  view.dtype = id.dtype;
  view.offset = (*arguments)[1]->integer;
  view.bytes = storage->second.substr(0, bytes);
  return true;
}

bool TensorMaker::numpy_view(const Value& value, const std::string& name, View& view, std::string& why) {
  const std::string_view function = numpy_function(value);
  const auto* arguments = value.arguments();
  const Value *shape = nullptr, *dtype = nullptr, *data = nullptr;
  bool fortran = false;
  if (function == "multiarray._reconstruct" && value.state && value.state->is(Kind::kTuple) &&
      value.state->items.size() == 5) {
    const auto& state = value.state->items;
    shape = state[1], dtype = state[2], data = state[4];
    fortran = state[3]->integer != 0;
  } else if (function == "numeric._frombuffer" && arguments && arguments->size() == 4) {
    data = (*arguments)[0], dtype = (*arguments)[1], shape = (*arguments)[2];
    fortran = (*arguments)[3]->text == "F";
  } else {
    why = "an object that is not supported";
    return false;
  }
  if (!dtype_of_numpy(*dtype, view.dtype, why)) return false;
  if (!read_extents(*shape, view.shape)) fail(name, "has a shape that is no list of integers >= 0");
  view.strides = packed_strides(view.shape, fortran);
  view.bytes = data->text;
  if (data->function() == "_codecs.encode" && data->arguments() && !data->arguments()->empty()) {
    decoded_ = std::make_shared<std::string>();
    const std::string_view text = data->arguments()->front()->text;
    if (text.size() > 2 * budget_) fail(name, "unfolds to more memory than its file justifies");
    if (!decode_latin1(text, *decoded_)) fail(name, "has bytes written as text that is not latin-1");
    view.bytes = *decoded_;
  } else if (!data->is(Kind::kBytes) && !data->is(Kind::kText)) {
    fail(name, "has no bytes");
  }
  size_t bytes = 0;
  if (!byte_size(view.dtype, view.shape, bytes) || bytes != view.bytes.size()) {
    fail(name, cat("has ", view.bytes.size(), " bytes, which do not fit its shape"));
  }
  return true;
}

TensorData TensorMaker::gather(const View& view, const std::string& name) {
  TensorData tensor;
  tensor.dtype = view.dtype;
  tensor.shape = view.shape;
  if (!byte_size(view.dtype, view.shape, tensor.bytes)) fail(name, "has a size that overflows");
  const size_t element = size_of(view.dtype);
  if (tensor.bytes == 0) return make_tensor(view.dtype, view.shape);

  uint64_t last = static_cast<uint64_t>(view.offset);
  bool overflow = false;
  for (size_t axis = 0; axis < view.shape.size(); ++axis) {
    uint64_t reach = 0;
    overflow = overflow || __builtin_mul_overflow(static_cast<uint64_t>(view.shape[axis] - 1),
                                                  static_cast<uint64_t>(view.strides[axis]), &reach) ||
               __builtin_add_overflow(last, reach, &last);
  }
  if (overflow || last >= view.bytes.size() / element) {
    fail(name, cat("reaches beyond its storage of ", view.bytes.size() / element, " elements"));
  }
  const auto* source = reinterpret_cast<const std::byte*>(view.bytes.data()) + static_cast<size_t>(view.offset) * element;
  bool packed = true;
  int64_t step = 1;
  for (size_t axis = view.shape.size(); axis-- > 0;) {
    packed = packed && (view.shape[axis] == 1 || view.strides[axis] == step);
    step *= view.shape[axis];
  }
  if (packed && !decoded_ && reinterpret_cast<uintptr_t>(source) % element == 0) {
    tensor.owner = owner_;
    tensor.data = source;
    return tensor;
  }
  if (tensor.bytes > budget_) fail(name, "unfolds to more memory than its file justifies");
  budget_ -= tensor.bytes;
  if (packed) return make_tensor(view.dtype, view.shape, source);

  auto memory = std::make_shared<std::vector<std::byte>>(tensor.bytes);
  std::vector<int64_t> index(view.shape.size(), 0), strides = view.strides;
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    if (view.shape[axis] == 1) strides[axis] = 0;  // of no meaning, and not checked above
  }
  int64_t from = 0;
  for (size_t to = 0; to < tensor.bytes; to += element) {
    std::memcpy(memory->data() + to, source + static_cast<size_t>(from) * element, element);
    for (size_t axis = index.size(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < view.shape[axis]) break;
      from -= strides[axis] * view.shape[axis];
      index[axis] = 0;
    }
  }
  tensor.data = memory->data();
  tensor.owner = std::move(memory);
  return tensor;
}

}  // namespace iuq::io
