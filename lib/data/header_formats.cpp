#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

#include "lib/data/header_bytes.h"
#include "lib/data/image_header.h"

namespace iuq::data {
namespace {

constexpr uint64_t kMostSegments = 4096;  // of a JPEG or PNG before its size: a hostile file ends the search

struct TiffEntry {
  int64_t tag = 0, type = 0, count = 0;
  uint64_t value = 0;  // where it lies
};

/// The entries of the first directory of a TIFF structure, given one by one; false when there is no such structure.
template <class Take>
bool each_tiff_entry(HeaderBytes& file, uint64_t start, const Take& take) {
  const bool is_big = file.has(start, "MM");
  if (!is_big && !file.has(start, "II")) return false;
  const int64_t version = file.number(start + 2, 2, is_big);
  if (version != 42 && version != 43) return false;
  const bool wide = version == 43;  // BigTIFF
  const int64_t offset = wide ? file.number(start + 8, 8, is_big) : file.number(start + 4, 4, is_big);
  if (offset < 8 || static_cast<uint64_t>(offset) > file.size()) return false;
  const uint64_t directory = start + static_cast<uint64_t>(offset);
  const int64_t stated = file.number(directory, wide ? 8 : 2, is_big);
  const uint64_t first = directory + (wide ? 8 : 2), step = wide ? 20 : 12;
  for (int64_t i = 0; i < std::min<int64_t>(stated, kMostSegments); ++i) {
    const uint64_t entry = first + static_cast<uint64_t>(i) * step;
    const int64_t tag = file.number(entry, 2, is_big);
    if (tag < 0) return true;
    const int64_t type = file.number(entry + 2, 2, is_big);
    const int64_t count = file.number(entry + 4, wide ? 8 : 4, is_big);
    const size_t size = type == 3 ? 2 : type == 4 ? 4 : type == 16 ? 8 : 0;  // SHORT, LONG, LONG8
    uint64_t value = entry + (wide ? 12 : 8);
    // Several SHORTs that do not fit lie elsewhere; of those (bits per sample) the first will do.
    if (size > 0 && count > static_cast<int64_t>((wide ? 8 : 4) / size)) {
      const int64_t elsewhere = file.number(value, wide ? 8 : 4, is_big);
      if (elsewhere < 0) continue;
      value = start + static_cast<uint64_t>(elsewhere);
    }
    if (size > 0 && count > 0) take(tag, file.number(value, size, is_big));
  }
  return true;
}

void read_bmp(HeaderBytes& file, ImageHeader& header) {
  const int64_t info = file.little(14, 4);
  const bool core = info == 12;
  header.width = core ? file.little(18, 2) : static_cast<int32_t>(file.little(18, 4));
  header.height = core ? file.little(20, 2) : std::abs(static_cast<int64_t>(static_cast<int32_t>(file.little(22, 4))));
  const int64_t bits = file.little(core ? 24 : 28, 2);
  header.channels = bits == 32 ? 4 : 3;
  header.depth = bits == 16 ? 5 : 8;
  const int64_t compression = core ? 0 : file.little(30, 4), pixels = file.little(10, 4);
  const bool plain = compression == 0 && bits > 0 && header.has_size() && pixels > 0;
  if (!plain) return;
  const uint64_t row = (static_cast<uint64_t>(header.width) * static_cast<uint64_t>(bits) + 31) / 32 * 4;
  header.complete = static_cast<uint64_t>(pixels) + row * static_cast<uint64_t>(header.height) <= file.size();
}

void read_webp(HeaderBytes& file, ImageHeader& header) {
  header.complete = static_cast<uint64_t>(std::max<int64_t>(0, file.little(4, 4))) + 8 <= file.size();
  header.channels = 3;
  header.depth = 8;
  if (file.has(12, "VP8X")) {
    header.width = file.little(24, 3) + 1;
    header.height = file.little(27, 3) + 1;
    header.channels = file.little(20, 1) & 0x10 ? 4 : 3;
  } else if (file.has(12, "VP8L")) {
    const int64_t packed = file.little(21, 4);
    if (packed < 0) return;
    header.width = (packed & 0x3fff) + 1;
    header.height = (packed >> 14 & 0x3fff) + 1;
    header.channels = packed >> 28 & 1 ? 4 : 3;
  } else if (file.has(12, "VP8 ")) {
    header.width = std::max<int64_t>(0, file.little(26, 2)) & 0x3fff;
    header.height = std::max<int64_t>(0, file.little(28, 2)) & 0x3fff;
  }
}

// "P5 640 480 255", with comments from # to the end of the line.
void read_pnm(HeaderBytes& file, ImageHeader& header) {
  const std::string text(file.at(0, 1024));
  const char kind = text[1];
  size_t at = 2;
  const auto next = [&]() -> int64_t {
    while (at < text.size() && (std::isspace(static_cast<unsigned char>(text[at])) != 0 || text[at] == '#')) {
      at = text[at] == '#' ? std::min(text.find('\n', at), text.size()) : at + 1;
    }
    int64_t value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < (int64_t{1} << 40)) {
      value = value * 10 + (text[at++] - '0');
    }
    return value;
  };
  header.width = next();
  header.height = next();
  const int64_t most = kind == '1' || kind == '4' ? 1 : next();
  header.channels = kind == '3' || kind == '6' ? 3 : 1;
  header.depth = most > 255 ? 16 : most > 1 ? 8 : 1;
}

// Where the next marker of a JPEG begins. Decoders forgive bytes between segments, fill bytes among them.
uint64_t next_marker(HeaderBytes& file, uint64_t at) {
  while (true) {
    const std::string_view bytes = file.at(at, 64);
    if (bytes.size() < 2) return file.size();
    const size_t mark = bytes.find('\xff');
    if (mark == std::string_view::npos) {
      at += bytes.size();
    } else if (mark + 1 == bytes.size()) {
      at += mark;
    } else if (bytes[mark + 1] == '\xff' || bytes[mark + 1] == 0) {
      at += mark + 1;
    } else {
      return at + mark;
    }
  }
}

}  // namespace

int64_t exif_orientation(HeaderBytes& file, uint64_t start) {
  int64_t orientation = 1;
  each_tiff_entry(file, start, [&](int64_t tag, int64_t value) {
    if (tag == 0x0112 && value >= 1 && value <= 8) orientation = value;
  });
  return orientation;
}

void read_jpeg(HeaderBytes& file, ImageHeader& header) {
  uint64_t at = 2;
  for (uint64_t n = 0; n < kMostSegments; ++n) {
    at = next_marker(file, at);
    const int64_t marker = file.big(at + 1, 1), length = file.big(at + 2, 2);
    const bool bare = marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);  // without a length
    const bool ends = marker < 0 || marker == 0xda || marker == 0xd9 || (!bare && length < 2);
    if (ends) return;  // the scan: a frame comes before it
    if (bare) {
      at += 2;
      continue;
    }
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) {
      header.depth = std::max<int64_t>(0, file.big(at + 4, 1));
      header.height = std::max<int64_t>(0, file.big(at + 5, 2));
      header.width = std::max<int64_t>(0, file.big(at + 7, 2));
      header.channels = std::max<int64_t>(0, file.big(at + 9, 1));
    }
    if (marker == 0xe1 && file.has(at + 4, std::string_view("Exif\0\0", 6))) header.orientation = exif_orientation(file, at + 10);
    at += 2 + static_cast<uint64_t>(length);
  }
}

void read_png(HeaderBytes& file, ImageHeader& header) {
  uint64_t at = 8;
  for (uint64_t n = 0; n < kMostSegments; ++n) {
    const int64_t length = file.big(at, 4);
    if (length < 0 || file.has(at + 4, "IDAT") || file.has(at + 4, "IEND")) return;
    if (file.has(at + 4, "IHDR") && length >= 13) {
      header.width = std::max<int64_t>(0, file.big(at + 8, 4));
      header.height = std::max<int64_t>(0, file.big(at + 12, 4));
      header.depth = std::max<int64_t>(0, file.big(at + 16, 1));
      const int64_t colour = file.big(at + 17, 1);
      header.channels = colour == 0 ? 1 : colour == 4 ? 2 : colour == 6 ? 4 : 3;
    }
    if (file.has(at + 4, "eXIf")) header.orientation = exif_orientation(file, at + 8);
    at += 12 + static_cast<uint64_t>(length);
  }
}

void read_other(HeaderBytes& file, ImageHeader& header) {
  const std::string head(file.at(0, 16));
  if (head.starts_with("BM") && head.size() == 16) {
    header.kind = FileKind::kBmp;
    read_bmp(file, header);
  } else if (head.starts_with("GIF87a") || head.starts_with("GIF89a")) {
    header = {FileKind::kGif, file.little(8, 2), file.little(6, 2), 3, 8};
    header.complete = file.size() > 0 && file.has(file.size() - 1, ";");
  } else if (head.starts_with("RIFF") && head.substr(std::min<size_t>(8, head.size())).starts_with("WEBP")) {
    header.kind = FileKind::kWebp;
    read_webp(file, header);
  } else if (head.size() > 2 && head[0] == 'P' && head[1] >= '1' && head[1] <= '6' &&
             std::isspace(static_cast<unsigned char>(head[2])) != 0) {
    header.kind = FileKind::kPnm;
    read_pnm(file, header);
  } else {
    const bool tiff = each_tiff_entry(file, 0, [&](int64_t tag, int64_t value) {
      if (tag == 256) header.width = value;
      if (tag == 257) header.height = value;
      if (tag == 258) header.depth = value;
      if (tag == 277) header.channels = value;
      if (tag == 0x0112 && value >= 1 && value <= 8) header.orientation = value;
    });
    if (!tiff) return;
    header.kind = FileKind::kTiff;
  }
  if (header.height < 0 || header.width < 0) header.height = header.width = 0;
}

}  // namespace iuq::data
