#include "lib/io/torch_file.h"

#include <cstring>
#include <map>
#include <set>

#include "lib/base/error.h"
#include "lib/io/file_kind.h"
#include "lib/io/mapped_file.h"
#include "lib/io/pickle.h"
#include "lib/io/torch_tensor.h"
#include "lib/io/zip_file.h"

namespace iuq::io {
namespace {

using pickle::Pickle;
using pickle::Value;
using Kind = Value::Kind;

constexpr int kMaxPickleDepth = 32;
constexpr size_t kMaxNames = 1'000'000;

// Around the parameters, in the order of preference: mmdet, detectron2, self-distillation, and what others use.
const char* const kWrappers[] = {"state_dict", "model", "teacher", "model_state_dict", "model_state", "module", "net", "params"};

// The first value of a legacy file, a 10-byte integer.
const std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

// `budget`: values still to be looked at; dicts that contain one dict many times would take forever otherwise.
bool has_tensors(const Value& value, int depth, size_t& budget) {
  if (TensorMaker::is_tensor(value)) return true;
  if (depth == 0 || !value.is_dict()) return false;
  for (const auto& [key, item] : value.entries()) {
    if (budget == 0) return false;
    --budget;
    if (has_tensors(*item, depth - 1, budget)) return true;
  }
  return false;
}

class Walker {
 public:
  Walker(TensorMaker& maker, std::string where, std::vector<std::string>* skipped, std::string entry)
      : maker_(maker), where_(std::move(where)), skipped_(skipped), entry_(std::move(entry)) {}

  TensorFile walk(const Value& root) {
    if (!root.is_dict()) fail(cat("its top level is ", kind_of(root), ", not a dict of parameters"));
    for (const auto& [key, value] : root.entries()) {
      if (key->is(Kind::kText) && value->is(Kind::kText)) {
        result_.metadata[std::string(key->text)] = std::string(value->text);
      }
    }
    flatten(entry_.empty() ? unwrap(root) : chosen(root), "", 0);
    if (result_.tensors.empty()) fail("it holds no tensors");
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat(where_, ": ", what, "; expected a state dict or a dict around one"));
  }

  static std::string kind_of(const Value& value) {
    if (!value.is(Kind::kCall)) return cat("a ", name_of(value.kind));
    const std::string_view function = value.function();
    return cat("an object of ", function.empty() ? "an unknown class" : function.substr(0, 80), ", which is never run");
  }

  void skip(const std::string& name, const std::string& why) {
    count();
    if (skipped_) skipped_->push_back(cat(name, ": ", why));
  }
  void count() {
    if (++count_ > kMaxNames) fail(cat("it has more than ", kMaxNames, " entries"));
  }

  static bool holds_parameters(const std::string& name, const Value& value) {
    size_t budget = kMaxNames;
    return name.find("optim") == std::string::npos && value.is_dict() && has_tensors(value, 3, budget);
  }

  const Value& chosen(const Value& root) const {
    std::string there;
    for (const auto& [key, item] : root.entries()) {
      if (!key->is(Kind::kText) || !holds_parameters(std::string(key->text), *item)) continue;
      if (key->text == entry_) return *item;
      there += cat(there.empty() ? "\"" : ", \"", key->text, "\"");
    }
    throw Error(ErrorCode::kUsage, cat(where_, " has no entry \"", entry_, "\" with parameters",
                                       there.empty() ? "" : cat("; it has ", there)));
  }

  const Value& unwrap(const Value& root) {
    const Value* value = &root;
    for (int depth = 0; depth < 4; ++depth) {
      const auto entries = value->entries();
      for (const auto& [key, item] : entries) {
        if (TensorMaker::is_tensor(*item)) return *value;
      }
      const Value* inner = nullptr;
      const char* wrapper = "";
      for (const char* name : kWrappers) {
        if (inner) break;
        inner = value->find(name);
        size_t budget = kMaxNames;
        if (inner && !(inner->is_dict() && has_tensors(*inner, 3, budget))) inner = nullptr;
        wrapper = name;
      }
      if (!inner) return *value;
      for (const auto& [key, item] : entries) {
        if (key->is(Kind::kText) && key->text != wrapper) {
          const bool copy = depth == 0 && holds_parameters(std::string(key->text), *item);
          skip(std::string(key->text), cat("beside the parameters", copy ? ", " : "", copy ? kOtherCopy : ""));
        }
      }
      value = inner;
    }
    return *value;
  }

  void flatten(const Value& dict, const std::string& prefix, int depth) {
    if (depth > kMaxPickleDepth) fail("its dicts are nested too deep");
    for (const auto& [key, value] : dict.entries()) {
      if (!key->is(Kind::kText) && !key->is(Kind::kInt)) {
        skip(prefix + "?", cat("its key is a ", name_of(key->kind)));
        continue;
      }
      const std::string name = prefix + (key->is(Kind::kText) ? std::string(key->text) : std::to_string(key->integer));
      if (name.size() > 1000) fail("it has a name of more than 1000 bytes");
      if (value->is_dict()) {
        count();
        flatten(*value, name + ".", depth + 1);
      } else if (!TensorMaker::is_tensor(*value)) {
        skip(name, kind_of(*value));
      } else {
        add(name, *value);
      }
    }
  }

  void add(const std::string& name, const Value& value) {
    TensorData tensor;
    std::string why;
    if (!maker_.make(value, name, tensor, why)) return skip(name, why);
    count();
    if (!names_.insert(name).second) fail(cat("\"", name, "\" is there twice"));
    result_.tensors.emplace_back(name, std::move(tensor));
  }

  TensorMaker& maker_;
  std::string where_;
  std::vector<std::string>* skipped_;
  const std::string entry_;
  TensorFile result_;
  std::set<std::string> names_;
  size_t count_ = 0;
};

TensorFile read_zip(std::string_view bytes, TensorMaker& maker, const std::string& where,
                    std::vector<std::string>* skipped, const std::string& entry) {
  const auto entries = read_stored_zip(bytes, where);
  std::string folder;
  for (const auto& [name, content] : entries) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash) == "/data.pkl") folder = name.substr(0, slash + 1);
  }
  if (folder.empty()) {
    throw Error(ErrorCode::kBadData, cat(where, " is a zip archive",
                                         entries.empty() ? "" : cat(" (of \"", entries.begin()->first, "\"", entries.size() > 1 ? ", ..." : "", ")"),
                                         " that torch.save did not write (it has no data.pkl); unpack it first"));
  }
  if (entries.count(folder + "constants.pkl")) {
    throw Error(ErrorCode::kBadData, cat(where, ": a TorchScript program; save its state_dict() with torch.save instead"));
  }
  const auto order = entries.find(folder + "byteorder");
  if (order != entries.end() && order->second != "little") {
    throw Error(ErrorCode::kBadData, cat(where, ": saved on a big-endian machine, which is not supported"));
  }
  const std::string data = folder + "data/";
  for (const auto& [name, content] : entries) {
    if (name.compare(0, data.size(), data) == 0) maker.add_storage(name.substr(data.size()), content);
  }
  const Pickle pickle(entries.at(folder + "data.pkl"), where);
  return Walker(maker, where, skipped, entry).walk(pickle.root());
}

// Five pickles (magic, protocol, system, content, storage keys), then per key an int64 count and the elements.
TensorFile read_legacy(std::string_view bytes, TensorMaker& maker, const std::string& where,
                       std::vector<std::string>* skipped, const std::string& entry) {
  const auto next = [&] {
    auto pickle = std::make_unique<Pickle>(bytes, where);
    bytes.remove_prefix(pickle->consumed());
    return pickle;
  };
  for (int i = 0; i < 3; ++i) next();
  const auto content = next();
  std::map<std::string, DType> types;
  for (const Value* value : content->persistent()) {
    StorageId id{};
    if (read_storage_id(*value, id)) types[std::string(id.key)] = id.dtype;
  }
  const auto keys = next();
  for (const Value* key : keys->root().items) {
    const auto type = types.find(std::string(key->text));
    if (type == types.end()) {
      throw Error(ErrorCode::kBadData, cat(where, ": storage \"", key->text, "\" is of a type that is not supported"));
    }
    int64_t count = 0;
    size_t size = 0;
    const bool whole = bytes.size() >= sizeof count;
    if (whole) std::memcpy(&count, bytes.data(), sizeof count);
    if (!whole || !byte_size(type->second, {count}, size) || size > bytes.size() - sizeof count) {
      throw Error(ErrorCode::kBadData, cat(where, ": storage \"", key->text, "\" is truncated"));
    }
    maker.add_storage(type->first, bytes.substr(sizeof count, size));
    bytes.remove_prefix(sizeof count + size);
  }
  return Walker(maker, where, skipped, entry).walk(content->root());
}

}  // namespace

TensorFile read_torch_file(const std::string& path, std::vector<std::string>* skipped, const std::string& entry) {
  const auto file = MappedFile::open(path);
  const std::string where = cat("\"", path, "\"");
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  TensorMaker maker(file, file->size(), where);
  if (bytes.substr(0, 4) == "PK\x03\x04") return read_zip(bytes, maker, where, skipped, entry);
  const std::string kind = foreign_kind(bytes);
  if (!kind.empty()) throw Error(ErrorCode::kBadData, cat(where, " is ", kind));
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != 0x80) {
    throw Error(ErrorCode::kBadData, cat(where, ": neither a torch.save file nor a pickle of protocol 2 to 5"));
  }
  const Pickle first(bytes, where);
  if (first.root().text == kLegacyMagic) return read_legacy(bytes, maker, where, skipped, entry);
  return Walker(maker, where, skipped, entry).walk(first.root());
}

}  // namespace iuq::io
