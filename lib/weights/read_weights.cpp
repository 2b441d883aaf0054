#include "lib/weights/read_weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/file_kind.h"
#include "lib/io/json_file.h"
#include "lib/io/mapped_file.h"
#include "lib/io/safetensors.h"
#include "lib/io/torch_file.h"

namespace iuq::weights {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\" ", what));
}

io::TensorFile read_one(const std::string& path, std::vector<std::string>* skipped, const std::string& entry) {
  bool is_safetensors = path.ends_with(".safetensors");
  {
    const auto file = io::MappedFile::open(path);
    uint64_t length = 0;
    if (file->size() > sizeof length) {
      std::memcpy(&length, file->data(), sizeof length);
      is_safetensors = is_safetensors || (length < file->size() && file->data()[sizeof length] == std::byte{'{'});
    }
  }
  return is_safetensors ? io::read_safetensors(path) : io::read_torch_file(path, skipped, entry);
}

struct Shards {
  std::vector<std::string> files;  // paths, ascending
  std::set<std::string> names;     // of the tensors that the index lists; empty without an index
};

Shards read_index(const std::string& path) {
  const json index = io::read_json(path);
  const bool ok = index.is_object() && index.contains("weight_map") && index["weight_map"].is_object() && !index["weight_map"].empty();
  if (!ok) bad(path, "is no index of weights in several files: it has no \"weight_map\"");
  Shards shards;
  std::set<std::string> files;
  for (const auto& [name, file] : index["weight_map"].items()) {
    const std::string text = file.is_string() ? file.get<std::string>() : "";
    const bool plain = !text.empty() && text.find('/') == std::string::npos && text != "." && text != "..";
    if (!plain) bad(path, cat("names ", file.dump(), " for \"", name, "\", not a file beside it"));
    shards.names.insert(name);
    files.insert(text);
  }
  for (const std::string& file : files) shards.files.push_back(io::join(io::folder_of(path), file));
  return shards;
}

Shards find_shards(const std::string& folder) {
  std::vector<std::string> indices, files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".index.json")) indices.push_back(path);
    if (path.ends_with(".safetensors")) files.push_back(path);
  }
  std::sort(indices.begin(), indices.end());
  std::sort(files.begin(), files.end());
  const auto preferred = std::find_if(indices.begin(), indices.end(), [](const auto& p) { return p.ends_with(".safetensors.index.json"); });
  if (preferred != indices.end()) return read_index(*preferred);
  if (!files.empty()) {
    const int stated = io::shards_in_name(files.front());
    if (stated > 0 && std::ssize(files) != stated) bad(folder, cat("has ", files.size(), " of the ", stated, " files of the weights"));
    const bool several = stated == 0 && files.size() > 1;
    if (several) bad(folder, cat("has ", files.size(), " .safetensors files that are not parts of one; name one of them"));
    return {files, {}};
  }
  if (!indices.empty()) return read_index(indices.front());
  bad(folder, "is a folder without an index of weights (*.index.json) or a .safetensors file");
}

bool is_index(const std::string& path) { return path.ends_with(".index.json"); }

Shards shards_of(const std::string& path) { return fs::is_directory(path) ? find_shards(path) : read_index(path); }

}  // namespace

io::TensorFile read_weights(const std::string& path, std::vector<std::string>* skipped, const std::string& entry) {
  if (!fs::is_directory(path) && !is_index(path)) {
    const int shards = io::shards_in_name(path);
    if (shards > 1) bad(path, cat("is one of ", shards, " files of the weights; give their index (*.index.json) or their folder"));
    return read_one(path, skipped, entry);
  }
  Shards shards = shards_of(path);
  io::TensorFile all;
  std::map<std::string, std::string> file_of;
  for (const std::string& file : shards.files) {
    if (!io::exists(file)) {
      throw Error(ErrorCode::kNoInput, cat("\"", file, "\" is missing, which \"", path, "\" names; all files of the weights are needed"));
    }
    io::TensorFile part = read_one(file, skipped, entry);
    all.metadata.insert(part.metadata.begin(), part.metadata.end());
    for (auto& tensor : part.tensors) {
      const auto [other, is_new] = file_of.emplace(tensor.first, file);
      if (!is_new) bad(file, cat("has \"", tensor.first, "\", which \"", other->second, "\" has as well"));
      shards.names.erase(tensor.first);
      all.tensors.push_back(std::move(tensor));
    }
  }
  if (!shards.names.empty()) bad(path, cat("names the tensor \"", *shards.names.begin(), "\", which none of its files has"));
  return all;
}

std::string weights_digest(const std::string& path) {
  if (!fs::is_directory(path) && !is_index(path)) return digest_of_file(path);
  std::string digests;
  for (const std::string& file : shards_of(path).files) digests += digest_of_file(file);
  return digest_of(digests);
}

}  // namespace iuq::weights
