#include "lib/data/image_header.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/data/header_bytes.h"
#include "lib/io/atomic_file.h"

namespace iuq::data {
namespace {

const std::string_view kPngEnd("IEND\xae\x42\x60\x82", 8);

class MemoryBytes final : public HeaderBytes {
 public:
  explicit MemoryBytes(std::string_view bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  std::string_view at(uint64_t at, size_t count) override {
    return at < bytes_.size() ? bytes_.substr(static_cast<size_t>(at), count) : std::string_view();
  }

 private:
  std::string_view bytes_;
};

/// A file, of which a few kB around what is asked for are in memory.
class FileBytes final : public HeaderBytes {
 public:
  explicit FileBytes(const std::string& path) : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
    struct stat status {};
    const bool plain = fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
    if (plain) size_ = static_cast<uint64_t>(status.st_size);
    if (plain) return;
    ::close(file_);
    throw Error(ErrorCode::kBadData, cat("image \"", path, "\" is not a plain file"));
  }
  ~FileBytes() override { ::close(file_); }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  uint64_t size() const override { return size_; }
  std::string_view at(uint64_t at, size_t count) override {
    IUQ_ASSERT(count <= window_.size());
    if (at >= size_) return {};
    const bool inside = at >= first_ && at + count <= first_ + held_;
    if (!inside) fill(at);
    return std::string_view(window_.data(), held_).substr(std::min<uint64_t>(at - first_, held_), count);
  }

 private:
  void fill(uint64_t at) {
    const ssize_t got = ::pread(file_, window_.data(), window_.size(), static_cast<off_t>(at));
    if (got < 0) throw Error(ErrorCode::kIo, cat("cannot read \"", path_, "\": ", std::strerror(errno)));
    first_ = at;
    held_ = static_cast<size_t>(got);
  }

  const std::string path_;
  const int file_;
  uint64_t size_ = 0, first_ = 0;
  size_t held_ = 0;
  std::array<char, 4096> window_;
};

// Whether the end marker of a JPEG or PNG is there, with whatever follows it.
bool has_end(FileKind kind, std::string_view bytes) {
  size_t at = kind == FileKind::kPng ? 8 : 2;
  if (kind == FileKind::kPng) {
    while (at + 12 <= bytes.size()) {
      MemoryBytes file(bytes.substr(at));
      const auto length = static_cast<size_t>(file.big(0, 4));
      if (length > bytes.size() - at - 12) return false;
      if (file.has(4, "IEND")) return true;
      at += 12 + length;
    }
    return false;
  }
  while (at + 1 < bytes.size()) {
    at = bytes.find('\xff', at);
    if (at == std::string_view::npos || at + 1 >= bytes.size()) return false;
    const auto next = static_cast<uint8_t>(bytes[at + 1]);
    const bool in_scan = next <= 1 || (next >= 0xd0 && next <= 0xd8);  // stuffed zeros, restart marks and others without a length
    if (next == 0xd9) return true;
    if (next == 0xff) {
      at += 1;
    } else if (in_scan || at + 4 > bytes.size()) {
      at += 2;
    } else {
      at += 2 + static_cast<size_t>(MemoryBytes(bytes).big(at + 2, 2));
    }
  }
  return false;
}

bool ends_at_once(FileKind kind, HeaderBytes& file) {
  const std::string_view end = kind == FileKind::kPng ? kPngEnd : std::string_view("\xff\xd9");
  return file.size() > 32 && file.has(file.size() - end.size(), end);
}

// All but `complete` of JPEG and PNG.
ImageHeader header_of(HeaderBytes& file) {
  ImageHeader header;
  if (file.has(0, "\xff\xd8\xff")) {
    header.kind = FileKind::kJpeg;
    read_jpeg(file, header);
  } else if (file.has(0, "\x89PNG\r\n\x1a\n")) {
    header.kind = FileKind::kPng;
    read_png(file, header);
  } else {
    read_other(file, header);
  }
  return header;
}

bool has_end_marker(FileKind kind) { return kind == FileKind::kJpeg || kind == FileKind::kPng; }

}  // namespace

ImageHeader read_image_header(std::string_view bytes) {
  MemoryBytes file(bytes);
  ImageHeader header = header_of(file);
  if (has_end_marker(header.kind)) header.complete = ends_at_once(header.kind, file) || has_end(header.kind, bytes);
  return header;
}

ImageHeader stated_header(const std::string& path) {
  FileBytes file(path);
  if (file.size() == 0) throw Error(ErrorCode::kBadData, cat("image \"", path, "\" is an empty file"));
  ImageHeader header = header_of(file);
  if (has_end_marker(header.kind) && !ends_at_once(header.kind, file)) {
    header.complete = has_end(header.kind, io::read_text(path));
  }
  return header;
}

std::string image_fingerprint(const std::string& path) {
  constexpr size_t kPart = 4096;
  try {
    FileBytes file(path);
    const uint64_t size = file.size();
    Digest digest;
    digest.add(&size, sizeof size);
    digest.add(file.at(0, kPart));
    if (size > kPart) digest.add(file.at(size - kPart, kPart));
    return digest.hex().substr(0, 16);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace iuq::data
