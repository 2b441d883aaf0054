#pragma once

#include <exception>
#include <sstream>
#include <string>

namespace iuq {

/// Exit codes of every tool (a subset of sysexits.h, so that batch scripts can tell a retry from a mistake).
enum class ErrorCode {
  kUsage = 64,         // flags make no sense
  kBadData = 65,       // an input is there but broken
  kNoInput = 66,       // an input is missing
  kNoDevice = 69,      // the device asked for is not on this machine
  kInternal = 70,      // our bug
  kCannotCreate = 73,  // the output cannot be made, or exists and is another one
  kIo = 74,            // reading or writing failed
  kInterrupted = 75,   // stopped by a signal, can be resumed
  kConfig = 78,        // the config is wrong
};

/// The one exception of the project. `message` names file, key, value and what to do; each layer may add one line.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), what_(std::move(message)) {}
  /// The same error with one more line of context, for `throw error.with("in shard 3")`.
  Error with(const std::string& context) const { return Error(code_, what_ + "\n        " + context); }
  ErrorCode code() const { return code_; }
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  std::string what_;
};

/// Concatenates anything that prints.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

[[noreturn]] void assert_failed(const char* expression, const char* file, int line);

}  // namespace iuq

/// For our own bugs only; broken input throws iuq::Error.
#define IUQ_ASSERT(expression) \
  do {                         \
    if (!(expression)) ::iuq::assert_failed(#expression, __FILE__, __LINE__); \
  } while (false)
