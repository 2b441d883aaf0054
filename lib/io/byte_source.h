#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace iuq::io {

/// The bytes of a file in order; "-" is stdin. What is compressed by gzip (one member or several) comes unpacked: the
/// first two bytes tell.
class ByteSource {
 public:
  /// Error(kNoInput) when it cannot be opened.
  explicit ByteSource(const std::string& path);
  ~ByteSource();

  /// Fills `out` as far as the source goes: fewer than `size` bytes only at its end. Errors: kIo; kBadData for damaged
  /// or truncated gzip.
  size_t read(char* out, size_t size);
  /// Of a plain file; 0 where it is not known before the end.
  int64_t size_hint() const;

 private:
  struct Unzip;
  size_t read_raw(char* out, size_t size);
  size_t read_unzipped(char* out, size_t size);

  std::string path_;
  int file_ = -1;
  bool started_ = false;
  std::unique_ptr<Unzip> unzip_;  // null while the bytes are plain
  std::string head_;              // bytes read to tell gzip, not handed out yet
};

}  // namespace iuq::io
