#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "lib/base/error.h"
#include "lib/io/hdf5.h"

namespace iuq::io {

Hdf5Patcher::Hdf5Patcher(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd_ < 0) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
  // Where the file system has no locks, two writers at once are the user's to avoid.
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    throw Error(ErrorCode::kCannotCreate, cat("another process is writing \"", path, "\" now"));
  }
}

Hdf5Patcher::~Hdf5Patcher() { ::close(fd_); }

void Hdf5Patcher::reserve() {
  struct stat stat {};
  if (fstat(fd_, &stat) != 0) throw Error(ErrorCode::kIo, cat("cannot read \"", path_, "\": ", std::strerror(errno)));
  if (stat.st_size == 0 || fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, stat.st_size) == 0) return;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return;
  throw Error(ErrorCode::kIo,
              cat("cannot reserve the ", stat.st_size, " bytes of \"", path_, "\": ", std::strerror(errno)));
}

void Hdf5Patcher::write(const Hdf5File::ByteRange& range, int64_t begin, const void* data, size_t bytes) {
  IUQ_ASSERT(range.offset > 0 && begin >= 0 && begin + static_cast<int64_t>(bytes) <= range.bytes);
  const char* from = static_cast<const char*>(data);
  for (size_t done = 0; done < bytes;) {
    const ssize_t put = pwrite(fd_, from + done, bytes - done, range.offset + begin + static_cast<int64_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) throw Error(ErrorCode::kIo, cat("cannot write \"", path_, "\": ", std::strerror(errno)));
    done += static_cast<size_t>(put);
  }
}

void Hdf5Patcher::sync() {
  if (fdatasync(fd_) != 0) throw Error(ErrorCode::kIo, cat("cannot sync \"", path_, "\": ", std::strerror(errno)));
}

std::vector<std::string> expand_shard_folders(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("shard-") && name.ends_with(".h5")) found.push_back(entry.path().string());
    }
    if (found.empty()) {
      throw Error(ErrorCode::kNoInput, cat("the folder \"", path, "\" has no finished shard (shard-*.h5)"));
    }
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

}  // namespace iuq::io
