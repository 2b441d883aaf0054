#pragma once

#include <string>

namespace iuq::io {

/// Keeps other processes of ours out of a folder that exists, until it is destroyed or the process dies. On file systems
/// without locks it keeps out nobody.
class FolderLock {
 public:
  /// Error(kCannotCreate) when another process holds it.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int folder_ = -1;
};

}  // namespace iuq::io
