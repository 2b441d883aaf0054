#pragma once

#include <cstdint>
#include <string>

namespace iuq::io {

/// An output that is whole or absent. Write to temp_path() (same folder), then commit(): fsync, rename, fsync of the
/// folder. Destroyed without commit, it removes what was written.
class AtomicFile {
 public:
  /// Error(kCannotCreate) if the folder is missing or cannot be written. Missing parent folders are not made.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  const std::string& temp_path() const { return temp_path_; }
  void commit();  // Error(kIo), for example on a full disk

 private:
  std::string path_;
  std::string temp_path_;
  bool committed_ = false;
};

/// Writes text atomically; "-" writes to stdout. Errors: kCannotCreate, kIo.
void write_text(const std::string& path, const std::string& text);
/// Whole file; "-" reads stdin. Errors: kNoInput, kIo.
std::string read_text(const std::string& path);
/// mkdir -p. Error(kCannotCreate).
void make_folders(const std::string& path);
/// fsync of a file or folder by path. Error(kIo).
void sync_path(const std::string& path);
bool exists(const std::string& path);
/// Free bytes for this user on the file system that holds `path` (or its folder).
int64_t free_bytes(const std::string& path);
std::string folder_of(const std::string& path);
/// `path` itself when absolute, else below `folder`.
std::string join(const std::string& folder, const std::string& path);

}  // namespace iuq::io
