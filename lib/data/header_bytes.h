#pragma once

#include <cstdint>
#include <string_view>

// What the parsers of image headers read from. Inside of lib/data.
namespace iuq::data {

/// A file's bytes by position: in memory, or a window on the disk.
class HeaderBytes {
 public:
  virtual ~HeaderBytes() = default;
  virtual uint64_t size() const = 0;
  /// `count` bytes from `at`, or fewer where the file ends. Valid until the next call.
  virtual std::string_view at(uint64_t at, size_t count) = 0;

  /// An unsigned number of `count` <= 8 bytes; -1 beyond the end, or when it has more than 63 bits.
  int64_t big(uint64_t position, size_t count) { return number(position, count, true); }
  int64_t little(uint64_t position, size_t count) { return number(position, count, false); }
  int64_t number(uint64_t position, size_t count, bool is_big) {
    const std::string_view bytes = at(position, count);
    if (bytes.size() < count) return -1;
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[is_big ? i : count - 1 - i]);
    return value >> 63 ? -1 : static_cast<int64_t>(value);
  }
  bool has(uint64_t position, std::string_view text) { return at(position, text.size()) == text; }
};

struct ImageHeader;

void read_jpeg(HeaderBytes& file, ImageHeader& header);  // all but `complete`
void read_png(HeaderBytes& file, ImageHeader& header);   // all but `complete`; a turn that follows the pixels is not found
void read_other(HeaderBytes& file, ImageHeader& header);  // BMP, GIF, TIFF, WebP, PNM; nothing is changed when it is none
/// The orientation in the first directory of a TIFF structure (EXIF) at `start`; 1 without one.
int64_t exif_orientation(HeaderBytes& file, uint64_t start);

}  // namespace iuq::data
