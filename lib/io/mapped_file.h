#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace iuq::io {

/// A whole file mapped read-only. The file must not shrink while mapped; every artifact of this project is replaced by
/// rename and never shortened in place.
class MappedFile {
 public:
  /// Errors: kNoInput if it cannot be opened, kIo if it is no plain file or cannot be mapped. An empty file has size 0.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace iuq::io
