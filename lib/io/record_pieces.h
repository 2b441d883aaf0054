#pragma once

#include <cstddef>
#include <mutex>
#include <string>

#include "lib/io/byte_source.h"

namespace iuq::io {

/// A large JSON file in pieces of about a megabyte that end, where possible, between two records of a list: behind the
/// comma of "}, {". That records are parted there is a guess (it may be inside a string or a nested list); a RecordParser that
/// is fed all pieces in order does not depend on it.
///
/// Threads: any number may call next(). `mutex_` guards all that is below it and is held while the file is read; no other lock is
/// taken meanwhile.
class RecordPieces {
 public:
  static constexpr size_t kBlock = size_t{1} << 20;

  /// "-" is stdin; gzip is unpacked. `block`: bytes read at a time. Error(kNoInput).
  explicit RecordPieces(const std::string& path, size_t block = kBlock) : source_(path), block_(block) {}

  /// The next piece and its number, 0, 1, ...; false at the end. For any number of threads. Errors: see ByteSource; the
  /// number is then that of the piece that could not be read, and there are no more.
  bool next(std::string& piece, size_t& number);
  int64_t size_hint() const { return source_.size_hint(); }

 private:
  std::mutex mutex_;
  ByteSource source_;
  const size_t block_;
  std::string rest_;  // read, but behind the last cut
  bool ended_ = false;
  size_t count_ = 0;
};

}  // namespace iuq::io
