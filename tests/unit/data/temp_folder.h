#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "lib/base/error.h"
#include "tests/support/catch.h"

namespace iuq::test {

/// A folder that lives as long as the test.
class TempFolder {
 public:
  TempFolder() : path_(cat("/tmp/iuq_test_", getpid(), "_", count_++)) { std::filesystem::create_directories(path_); }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
    return *this / name;
  }
  const std::string& path() const { return path_; }

 private:
  static inline int count_ = 0;
  std::string path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Whether `call` throws an Error of this code whose message has every one of `parts`; prints what it got if not.
template <class Call>
bool fails_with(ErrorCode code, const std::vector<std::string>& parts, Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    bool ok = e.code() == code;
    for (const std::string& part : parts) ok = ok && std::string(e.what()).find(part) != std::string::npos;
    if (!ok) WARN("got (" << static_cast<int>(e.code()) << ") " << e.what());
    return ok;
  }
  WARN("got no error");
  return false;
}

}  // namespace iuq::test
