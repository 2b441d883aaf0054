#pragma once

#include <cstddef>
#include <mutex>
#include <string>

#include "lib/io/byte_source.h"

namespace iuq::io {

/// A large JSON file in pieces of about a megabyte that end, where possible, between two records of a list: behind the
/// comma of "}, {". That this is such a place is a guess (it may be inside a string or a nested list); a RecordParser
/// that is fed all pieces in order does not depend on it.
class RecordPieces {
 public:
  /// "-" is stdin; gzip is unpacked. Error(kNoInput).
  explicit RecordPieces(const std::string& path) : source_(path) {}

  /// The next piece and its number, 0, 1, ...; false at the end. For any number of threads. Errors: see ByteSource.
  bool next(std::string& piece, size_t& number);

 private:
  std::mutex mutex_;
  ByteSource source_;
  std::string rest_;  // read, but behind the last cut
  bool ended_ = false;
  size_t count_ = 0;
};

}  // namespace iuq::io
