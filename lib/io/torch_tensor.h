#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/io/pickle.h"
#include "lib/io/tensor_file.h"

namespace iuq::io {

/// Tensors of a pickle: torch tensors whose bytes lie in storages beside it, and numpy arrays that hold them inside.
class TensorMaker {
 public:
  /// `owner` keeps the file alive; `file_bytes` bounds the memory that views with strides may unfold to.
  TensorMaker(std::shared_ptr<const void> owner, size_t file_bytes, std::string where);

  void add_storage(const std::string& key, std::string_view bytes) { storages_[key] = bytes; }

  /// False, with the reason in `why`, if `value` is no tensor or of a kind that is not supported.
  /// Error(kBadData) naming `name` if it is one but its sizes, strides and storage do not fit.
  bool make(const pickle::Value& value, const std::string& name, TensorData& tensor, std::string& why);
  static bool is_tensor(const pickle::Value& value);

 private:
  struct View {
    DType dtype;
    std::string_view bytes;
    int64_t offset = 0;
    std::vector<int64_t> shape, strides;  // in elements
  };
  bool torch_view(const pickle::Value& value, const std::string& name, View& view, std::string& why) const;
  bool numpy_view(const pickle::Value& value, const std::string& name, View& view, std::string& why);
  TensorData gather(const View& view, const std::string& name);
  [[noreturn]] void fail(const std::string& name, const std::string& what) const;

  std::shared_ptr<const void> owner_;
  std::string where_;
  size_t budget_;  // bytes that may still be copied
  std::map<std::string, std::string_view, std::less<>> storages_;
  std::shared_ptr<std::string> decoded_;  // bytes of the array at hand, when they are not in the file as they are
};

/// ("storage", type, key, location, count): the parts of a persistent id. False if it is none or the type is unknown.
struct StorageId {
  DType dtype;
  std::string_view key;
  int64_t count;
};
bool read_storage_id(const pickle::Value& value, StorageId& id);

}  // namespace iuq::io
