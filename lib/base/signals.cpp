#include "lib/base/signals.h"

#include <atomic>
#include <csignal>
#include <unistd.h>

#include "lib/base/error.h"

// Threads: the system may run on_signal() on any thread at any moment. It only reads and writes `stop`, which every thread may
// read.

namespace iuq {
namespace {

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // so that a signal handler may touch it

void on_signal(int number) {
  if (number == SIGINT && stop) _exit(130);
  stop = true;
}

}  // namespace

void ignore_write_signals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) sigaction(number, &action, nullptr);
}

bool stop_requested() { return stop; }

void throw_if_stopped(const char* what_is_kept) {
  if (stop_requested()) throw Error(ErrorCode::kInterrupted, cat("stopped by a signal; ", what_is_kept));
}

}  // namespace iuq
