#include "lib/base/log.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <mutex>

// Threads: any thread may log; set_up() is called by the main thread before it starts others.
// Locks: `mutex` guards `program` and keeps lines whole. `level` is read without it, as nothing writes it later.

namespace iuq::log {
namespace {

std::mutex mutex;
std::string program = "iuq";
Level level = Level::kNormal;

// Timestamps when stderr goes to a file: a batch log is read after the fact.
void line(const char* label, const std::string& message) {
  char stamp[32] = "";
  if (!stderr_is_tty()) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    std::strftime(stamp, sizeof stamp, "%H:%M:%S ", &local);
  }
  const std::lock_guard lock(mutex);
  std::fprintf(stderr, "%s%s: %s%s\n", stamp, program.c_str(), label, message.c_str());
}

}  // namespace

void set_up(const std::string& name, Level how_much) {
  const std::lock_guard lock(mutex);
  program = name;
  level = how_much;
}

void error(const std::string& message) { line("error: ", message); }
void warning(const std::string& message) { line("warning: ", message); }
void info(const std::string& message) {
  if (level != Level::kQuiet) line("", message);
}
void verbose(const std::string& message) {
  if (level == Level::kVerbose) line("", message);
}

bool stderr_is_tty() {
  static const bool tty = isatty(STDERR_FILENO) != 0;
  return tty;
}

bool is_quiet() { return level == Level::kQuiet; }

}  // namespace iuq::log
