#include "lib/io/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/file_kind.h"
#include "lib/io/mapped_file.h"

namespace iuq::io {
namespace {

using nlohmann::json;

constexpr size_t kMaxHeader = 100'000'000;  // the limit of the format
constexpr size_t kLengthBytes = 8;
const char* const kMetadata = "__metadata__";

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\" is not a valid safetensors file: ", what));
}

// The JSON library keeps the last of two equal keys without a word, so keys are watched while it parses.
json parse_header(const std::string& path, const char* begin, const char* end) {
  if (begin == end || *begin != '{') bad(path, "the header does not start with {");
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 3) bad(path, "the header is nested too deep");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      bad(path, cat("\"", value.get<std::string>(), "\" is there twice"));
    }
    return true;
  };
  try {
    return json::parse(begin, end, watch);
  } catch (const json::exception& e) {
    bad(path, cat("the header is no JSON: ", e.what()));
  }
}

struct Entry {
  std::string name;
  TensorData tensor;
  size_t begin, end;
};

bool read_extent(const json& value, int64_t& out) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return false;
  out = value.get<int64_t>();
  return true;
}

Entry read_entry(const std::string& path, const std::string& name, const json& value, size_t room) {
  const auto fail = [&](const std::string& what) { bad(path, cat("tensor \"", name, "\" ", what)); };
  const bool shaped = value.is_object() && value.size() == 3 && value.contains("dtype") &&
                      value["dtype"].is_string() && value.contains("shape") && value["shape"].is_array() &&
                      value.contains("data_offsets") && value["data_offsets"].is_array() &&
                      value["data_offsets"].size() == 2;
  if (!shaped) fail("does not have exactly dtype, shape and data_offsets");
  Entry entry{name, {}, 0, 0};
  const auto dtype = value["dtype"].get<std::string>();
  if (!dtype_of(dtype, entry.tensor.dtype)) fail(cat("has the dtype ", dtype, ", which is not supported"));
  for (const json& item : value["shape"]) {
    int64_t extent = 0;
    if (!read_extent(item, extent)) fail("has a shape that is not a list of integers >= 0");
    entry.tensor.shape.push_back(extent);
  }
  int64_t begin = 0, end = 0;
  if (!read_extent(value["data_offsets"][0], begin) || !read_extent(value["data_offsets"][1], end) || begin > end ||
      static_cast<size_t>(end) > room) {
    fail(cat("has data_offsets ", value["data_offsets"].dump(), " outside of the ", room, " bytes of data"));
  }
  entry.begin = static_cast<size_t>(begin);
  entry.end = static_cast<size_t>(end);
  if (!byte_size(entry.tensor.dtype, entry.tensor.shape, entry.tensor.bytes) ||
      entry.tensor.bytes != entry.end - entry.begin) {
    fail(cat("has ", entry.end - entry.begin, " bytes, which is not its shape ", describe(entry.tensor)));
  }
  return entry;
}

// Files of other writers may leave a tensor unaligned; such a one is copied.
void attach(TensorData& tensor, const std::shared_ptr<const MappedFile>& file, const std::byte* data) {
  if (reinterpret_cast<uintptr_t>(data) % size_of(tensor.dtype) != 0) {
    tensor = make_tensor(tensor.dtype, tensor.shape, data);
    return;
  }
  tensor.owner = file;
  tensor.data = data;
}

std::map<std::string, std::string> read_metadata(const std::string& path, const json& value) {
  if (!value.is_object()) bad(path, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) bad(path, cat("__metadata__ \"", key, "\" is not a string"));
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

std::string make_header(const TensorFile& file, std::vector<const TensorData*>& order) {
  std::vector<const std::pair<std::string, TensorData>*> sorted;
  for (const auto& item : file.tensors) sorted.push_back(&item);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](auto* a, auto* b) { return size_of(a->second.dtype) > size_of(b->second.dtype); });
  json header = json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  size_t offset = 0;
  std::set<std::string> names = {kMetadata};
  for (const auto* item : sorted) {
    const auto& [name, tensor] = *item;
    size_t bytes = 0;
    const bool fits = byte_size(tensor.dtype, tensor.shape, bytes) && bytes == tensor.bytes && (tensor.data || !bytes);
    if (!fits) throw Error(ErrorCode::kBadData, cat("tensor \"", name, "\": bytes and shape do not fit"));
    if (!names.insert(name).second) throw Error(ErrorCode::kBadData, cat("two tensors are named \"", name, "\""));
    header[name] = {{"dtype", name_of(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
    order.push_back(&tensor);
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const json::exception& e) {
    throw Error(ErrorCode::kBadData, cat("a tensor name or metadata is not UTF-8: ", e.what()));
  }
}

}  // namespace

TensorFile read_safetensors(const std::string& path) {
  const auto file = MappedFile::open(path);
  uint64_t length = 0;
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  const bool header_follows = bytes.substr(0, kLengthBytes + 1).ends_with('{') && bytes.size() > kLengthBytes;
  if (!header_follows) {
    const std::string kind = foreign_kind(bytes);
    if (!kind.empty()) throw Error(ErrorCode::kBadData, cat("\"", path, "\" is ", kind));
    if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("\x80")) {
      throw Error(ErrorCode::kBadData, cat("\"", path, "\" is a file of torch.save or pickle; pass it through iuq-convert first"));
    }
  }
  if (file->size() < kLengthBytes) bad(path, cat("it has ", file->size(), " bytes, too few for a header"));
  std::memcpy(&length, file->data(), kLengthBytes);
  if (length > kMaxHeader || length > file->size() - kLengthBytes) {
    bad(path, cat("it states a header of ", length, " bytes but has ", file->size(), " bytes; truncated, or another format"));
  }
  const std::byte* const data = file->data() + kLengthBytes + length;
  const size_t room = file->size() - kLengthBytes - length;
  const char* const text = reinterpret_cast<const char*>(file->data()) + kLengthBytes;
  const json header = parse_header(path, text, text + length);

  TensorFile result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) result.metadata = read_metadata(path, value);
    else entries.push_back(read_entry(path, name, value, room));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  size_t expected = 0;
  for (Entry& entry : entries) {
    if (entry.begin != expected) {
      bad(path, cat("tensor \"", entry.name, "\" starts at byte ", entry.begin, ", not at ", expected,
                    "; tensors overlap or leave a gap"));
    }
    expected = entry.end;
    attach(entry.tensor, file, data + entry.begin);
    result.tensors.emplace_back(entry.name, std::move(entry.tensor));
  }
  if (expected != room) bad(path, cat("its tensors end at byte ", expected, " of ", room));
  return result;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  std::vector<const TensorData*> order;
  const std::string header = make_header(file, order);
  AtomicFile out(path);
  {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(out.temp_path().c_str(), "wb"), &std::fclose);
    if (!stream) throw Error(ErrorCode::kCannotCreate, cat("cannot create \"", path, "\": ", std::strerror(errno)));
    const auto put = [&](const void* bytes, size_t size) {
      if (size == 0 || std::fwrite(bytes, 1, size, stream.get()) == size) return;
      throw Error(ErrorCode::kIo, cat("cannot write \"", path, "\": ", std::strerror(errno)));
    };
    const uint64_t length = header.size();
    put(&length, kLengthBytes);
    put(header.data(), header.size());
    for (const TensorData* tensor : order) put(tensor->data, tensor->bytes);
    if (std::fflush(stream.get()) != 0) {
      throw Error(ErrorCode::kIo, cat("cannot write \"", path, "\": ", std::strerror(errno)));
    }
  }
  out.commit();
}

}  // namespace iuq::io
