#include "lib/io/atomic_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "lib/base/error.h"

namespace iuq::io {
namespace fs = std::filesystem;
namespace {

std::string reason() { return std::strerror(errno); }

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temp_path_(cat(path_, ".tmp.", getpid())) {
  const int fd = open(temp_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) throw Error(ErrorCode::kCannotCreate, cat("cannot create \"", path_, "\": ", reason()));
  close(fd);
}

AtomicFile::~AtomicFile() {
  if (!committed_) unlink(temp_path_.c_str());
}

void AtomicFile::commit() {
  sync_path(temp_path_);
  if (std::rename(temp_path_.c_str(), path_.c_str()) != 0) {
    throw Error(ErrorCode::kIo, cat("cannot rename \"", temp_path_, "\" to \"", path_, "\": ", reason()));
  }
  committed_ = true;
  sync_path(folder_of(path_));
}

void write_text(const std::string& path, const std::string& text) {
  const auto put = [&](std::FILE* file, const std::string& name) {
    const bool ok = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
    if (!ok) throw Error(ErrorCode::kIo, cat("cannot write \"", name, "\": ", reason()));
  };
  if (path == "-") return put(stdout, "stdout");
  AtomicFile out(path);
  {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(out.temp_path().c_str(), "wb"), &std::fclose);
    if (!file) throw Error(ErrorCode::kCannotCreate, cat("cannot create \"", path, "\": ", reason()));
    put(file.get(), path);
  }
  out.commit();
}

std::string read_text(const std::string& path) {
  const bool standard = path == "-";
  std::FILE* file = standard ? stdin : std::fopen(path.c_str(), "rb");
  if (!file) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", reason()));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> closer(standard ? nullptr : file, &std::fclose);
  std::string text;
  std::vector<char> block(1 << 16);
  size_t got;
  while ((got = std::fread(block.data(), 1, block.size(), file)) > 0) text.append(block.data(), got);
  if (std::ferror(file)) throw Error(ErrorCode::kIo, cat("cannot read \"", path, "\": ", reason()));
  return text;
}

void make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    throw Error(ErrorCode::kCannotCreate,
                cat("cannot make the folder \"", path, "\": ", error ? error.message() : "a file is in the way"));
  }
}

void sync_path(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(ErrorCode::kIo, cat("cannot open \"", path, "\" to sync it: ", reason()));
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  // Some file systems refuse fsync on folders; the rename itself has happened.
  if (result != 0 && error != EINVAL) {
    throw Error(ErrorCode::kIo, cat("cannot sync \"", path, "\": ", std::strerror(error)));
  }
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

int64_t free_bytes(const std::string& path) {
  struct statvfs stat {};
  if (statvfs(path.c_str(), &stat) != 0 && statvfs(folder_of(path).c_str(), &stat) != 0) {
    throw Error(ErrorCode::kIo, cat("cannot ask for the free space at \"", path, "\": ", reason()));
  }
  return static_cast<int64_t>(stat.f_bavail) * static_cast<int64_t>(stat.f_frsize);
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}


std::string join(const std::string& folder, const std::string& path) { return (fs::path(folder) / path).string(); }

}  // namespace iuq::io
