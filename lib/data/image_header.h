#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace iuq::data {

enum class FileKind { kJpeg, kPng, kBmp, kGif, kTiff, kWebp, kPnm, kOther };

/// What the bytes of an image file say of themselves, without decoding.
struct ImageHeader {
  FileKind kind = FileKind::kOther;
  int64_t height = 0, width = 0;  // as stored, before any EXIF turn; 0 when not found
  int64_t channels = 0;           // 1 grey, 2 grey and alpha, 3 colours (a palette too), 4 with alpha (CMYK too); 0: not found
  int64_t depth = 0;              // bits per channel; 0: not found
  int64_t orientation = 1;        // EXIF, 1..8; 5 to 8 lie on their side
  bool complete = true;  // all bytes are there, as far as the format shows; decoders fill up a truncated JPEG and say nothing

  bool has_size() const { return height > 0 && width > 0; }
  /// (height, width) once the EXIF orientation is applied: those of read_image.
  std::pair<int64_t, int64_t> turned() const {
    return orientation >= 5 ? std::pair(width, height) : std::pair(height, width);
  }
};

/// Of a whole file in memory. Nothing in it is trusted: what does not fit is left at "not found".
ImageHeader read_image_header(std::string_view bytes);

/// Of a file on disk, of which some kB are read; all of it only where a JPEG or PNG does not end as it should. A format that
/// is not known here but to OpenCV (JPEG 2000, EXR, ...) is decoded, with kind kOther. May be called by several threads.
/// Errors: kNoInput (no such file), kIo; kBadData naming the file when it is empty or not an image.
ImageHeader image_header(const std::string& path);
/// The same without OpenCV: kOther, without a size, for a format that is not known here. Library iuq_image_header.
ImageHeader stated_header(const std::string& path);

/// 16 hex digits of a file's size, first and last 4 kB: another image is another one, at the cost of two reads. "" when it
/// cannot be read.
std::string image_fingerprint(const std::string& path);

}  // namespace iuq::data
