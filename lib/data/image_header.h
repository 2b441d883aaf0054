#pragma once

#include <cstdint>
#include <string_view>

namespace iuq::data {

enum class FileKind { kJpeg, kPng, kOther };

/// What the bytes of an image file say of themselves, without decoding.
struct ImageHeader {
  FileKind kind = FileKind::kOther;
  int64_t height = 0, width = 0;  // as stored, before any EXIF turn; 0 when not found
  bool complete = true;  // the end marker is there; decoders fill up a truncated JPEG with grey and say nothing
};

ImageHeader read_image_header(std::string_view bytes);

}  // namespace iuq::data
