#include "lib/io/zip_file.h"

#include <cstdint>
#include <cstring>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;

class Zip {
 public:
  Zip(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::map<std::string, std::string_view> read() {
    uint64_t count = 0, position = 0;
    find_directory(count, position);
    std::map<std::string, std::string_view> entries;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view head = part(position, kCentralSize);
      if (get<uint32_t>(head, 0) != kCentral) fail("its directory is damaged");
      const uint64_t name_size = get<uint16_t>(head, 28);
      const uint64_t extra_size = get<uint16_t>(head, 30);
      const std::string name(part(position + kCentralSize, name_size));
      const std::string_view extra = part(position + kCentralSize + name_size, extra_size);
      if (!entries.emplace(name, content(name, head, extra)).second) fail(cat("entry \"", name, "\" is there twice"));
      position += kCentralSize + name_size + extra_size + get<uint16_t>(head, 32);
    }
    return entries;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat(where_, ": not a readable zip archive: ", what));
  }

  std::string_view part(uint64_t begin, uint64_t size) const {
    if (begin > bytes_.size() || size > bytes_.size() - begin) fail("it is truncated");
    return bytes_.substr(begin, size);
  }
  template <class T>
  static T get(std::string_view from, size_t at) {
    T value;
    std::memcpy(&value, from.data() + at, sizeof value);
    return value;
  }

  void find_directory(uint64_t& count, uint64_t& position) const {
    // The end record is the last thing but for a comment of at most 65535 bytes.
    const uint64_t lowest = bytes_.size() > kEndSize + 0xffff ? bytes_.size() - kEndSize - 0xffff : 0;
    for (uint64_t at = bytes_.size(); at-- > lowest;) {
      if (bytes_.size() - at < kEndSize || get<uint32_t>(bytes_, at) != kEnd) continue;
      const std::string_view end = part(at, kEndSize);
      count = get<uint16_t>(end, 10);
      position = get<uint32_t>(end, 16);
      const bool zip64 = at >= kLocatorSize && get<uint32_t>(bytes_, at - kLocatorSize) == kEnd64Locator;
      if (zip64) {
        const std::string_view end64 = part(get<uint64_t>(bytes_, at - kLocatorSize + 8), kEnd64Size);
        if (get<uint32_t>(end64, 0) != kEnd64) fail("its zip64 end record is damaged");
        count = get<uint64_t>(end64, 32);
        position = get<uint64_t>(end64, 48);
      }
      return;
    }
    fail("it has no end record, so it is truncated or another format");
  }

  std::string_view content(const std::string& name, std::string_view head, std::string_view extra) const {
    const auto flags = get<uint16_t>(head, 8);
    const auto method = get<uint16_t>(head, 10);
    uint64_t packed = get<uint32_t>(head, 20), size = get<uint32_t>(head, 24), local = get<uint32_t>(head, 42);
    if (flags & 1) fail(cat("entry \"", name, "\" is encrypted"));
    if (method != 0) fail(cat("entry \"", name, "\" is compressed, which torch.save never does; another archive? Unpack it first"));
    read_zip64(extra, size, packed, local);
    if (packed != size) fail(cat("entry \"", name, "\" is stored with two different sizes"));
    const std::string_view start = part(local, kLocalSize);
    if (get<uint32_t>(start, 0) != kLocal) fail(cat("entry \"", name, "\" does not start where the directory says"));
    const uint64_t skip = kLocalSize + get<uint16_t>(start, 26) + get<uint16_t>(start, 28);
    part(local, skip);
    return part(local + skip, size);
  }

  // Fields that do not fit into 32 bits are all ones there and follow, in this order, in the extra field 1.
  void read_zip64(std::string_view extra, uint64_t& size, uint64_t& packed, uint64_t& local) const {
    while (extra.size() >= 4) {
      const auto id = get<uint16_t>(extra, 0);
      const size_t length = get<uint16_t>(extra, 2);
      if (length > extra.size() - 4) fail("an extra field is truncated");
      std::string_view body = extra.substr(4, length);
      extra.remove_prefix(4 + length);
      if (id != 1) continue;
      for (uint64_t* field : {&size, &packed, &local}) {
        if (*field != 0xffffffff) continue;
        if (body.size() < 8) fail("a zip64 field is truncated");
        *field = get<uint64_t>(body, 0);
        body.remove_prefix(8);
      }
    }
  }

  std::string_view bytes_;
  const std::string& where_;
};

}  // namespace

std::map<std::string, std::string_view> read_stored_zip(std::string_view bytes, const std::string& where) {
  return Zip(bytes, where).read();
}

}  // namespace iuq::io
