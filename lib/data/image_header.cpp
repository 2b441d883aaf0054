#include "lib/data/image_header.h"

namespace iuq::data {
namespace {

int64_t big_endian(std::string_view bytes, size_t at, size_t count) {
  int64_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Position of the next real marker at or after `at`: past entropy-coded data, stuffed zeros, fill and restart marks.
size_t skip_scan(std::string_view bytes, size_t at) {
  while (at + 1 < bytes.size()) {
    at = bytes.find('\xff', at);
    if (at == std::string_view::npos || at + 1 >= bytes.size()) break;
    const auto next = static_cast<unsigned char>(bytes[at + 1]);
    const bool marker = next != 0 && next != 0xff && !(next >= 0xd0 && next <= 0xd7);
    if (marker) return at;
    at += next == 0xff ? 1 : 2;
  }
  return bytes.size();
}

ImageHeader jpeg_header(std::string_view bytes) {
  ImageHeader header{FileKind::kJpeg, 0, 0, false};
  size_t at = 2;
  while (at + 2 <= bytes.size()) {
    at = skip_scan(bytes, at);  // decoders forgive bytes between segments, fill bytes among them
    if (at + 2 > bytes.size()) return header;
    const auto marker = static_cast<unsigned char>(bytes[at + 1]);
    if (marker == 0xd9) {
      header.complete = true;
      return header;
    }
    if (at + 4 > bytes.size()) return header;
    const auto length = static_cast<size_t>(big_endian(bytes, at + 2, 2));
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame && at + 9 <= bytes.size()) {
      header.height = big_endian(bytes, at + 5, 2);
      header.width = big_endian(bytes, at + 7, 2);
    }
    at += 2 + length;
  }
  return header;
}

ImageHeader png_header(std::string_view bytes) {
  ImageHeader header{FileKind::kPng, 0, 0, false};
  size_t at = 8;
  while (at + 12 <= bytes.size()) {
    const auto length = static_cast<size_t>(big_endian(bytes, at, 4));
    const std::string_view type = bytes.substr(at + 4, 4);
    if (length > bytes.size() - at - 12) return header;
    if (type == "IHDR" && length >= 8) {
      header.width = big_endian(bytes, at + 8, 4);
      header.height = big_endian(bytes, at + 12, 4);
    }
    if (type == "IEND") {
      header.complete = true;
      return header;
    }
    at += 12 + length;
  }
  return header;
}

}  // namespace

ImageHeader read_image_header(std::string_view bytes) {
  if (bytes.starts_with("\xff\xd8\xff")) return jpeg_header(bytes);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return png_header(bytes);
  return {};
}

}  // namespace iuq::data
