#include "lib/io/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

constexpr size_t kPacked = size_t{1} << 18;
constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for a gzip header

}  // namespace

struct ByteSource::Unzip {
  z_stream stream{};
  std::vector<char> packed = std::vector<char>(kPacked);
  bool at_member_start = true;

  Unzip() {
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw Error(ErrorCode::kInternal, "zlib cannot be started");
  }
  ~Unzip() { inflateEnd(&stream); }
};

ByteSource::ByteSource(const std::string& path) : path_(path) {
  file_ = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
}

ByteSource::~ByteSource() {
  if (file_ > STDIN_FILENO) close(file_);
}

int64_t ByteSource::size_hint() const {
  struct stat status;
  return !unzip_ && fstat(file_, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : 0;
}

size_t ByteSource::read_raw(char* out, size_t size) {
  size_t got = std::min(size, head_.size());
  std::memcpy(out, head_.data(), got);
  head_.erase(0, got);
  while (got < size) {
    const ssize_t n = ::read(file_, out + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(ErrorCode::kIo, cat("cannot read \"", path_, "\": ", std::strerror(errno)));
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  return got;
}

size_t ByteSource::read(char* out, size_t size) {
  if (!started_) {
    started_ = true;
    char magic[2];
    const size_t got = read_raw(magic, sizeof magic);
    head_.assign(magic, got);
    if (head_ == "\x1f\x8b") unzip_ = std::make_unique<Unzip>();
  }
  return unzip_ ? read_unzipped(out, size) : read_raw(out, size);
}

size_t ByteSource::read_unzipped(char* out, size_t size) {
  z_stream& stream = unzip_->stream;
  size_t done = 0;
  while (done < size) {
    if (stream.avail_in == 0) {
      const size_t got = read_raw(unzip_->packed.data(), unzip_->packed.size());
      if (got == 0 && unzip_->at_member_start) break;
      if (got == 0) throw Error(ErrorCode::kBadData, cat("\"", path_, "\": the gzip data end too early (truncated?)"));
      stream.next_in = reinterpret_cast<Bytef*>(unzip_->packed.data());
      stream.avail_in = static_cast<uInt>(got);
    }
    const size_t room = std::min<size_t>(size - done, 1u << 30);
    stream.next_out = reinterpret_cast<Bytef*>(out + done);
    stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    unzip_->at_member_start = result == Z_STREAM_END;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\": damaged gzip data (", stream.msg ? stream.msg : "zlib", ")"));
    }
    done += room - stream.avail_out;
    if (result == Z_STREAM_END) inflateReset(&stream);
  }
  return done;
}

}  // namespace iuq::io
