#include "lib/base/progress.h"

#include <cstdio>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace iuq {
namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return cat(s / 3600, "h", (s % 3600) / 60, "m");
  if (s >= 60) return cat(s / 60, "m", s % 60, "s");
  return cat(s, "s");
}

}  // namespace

Progress::Progress(int64_t total, std::string unit, int64_t already)
    : total_(total), unit_(std::move(unit)), already_(already) {}

Progress::~Progress() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
}

void Progress::update(int64_t done, const std::string& note) {
  if (log::is_quiet()) return;
  const auto now = Clock::now();
  const double since_shown = std::chrono::duration<double>(now - shown_).count();
  if (since_shown < (log::stderr_is_tty() ? 0.2 : 30.0)) return;
  shown_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done - already_) / (elapsed > 0 ? elapsed : 1);
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, "%.*f", rate < 10 ? 2 : 0, rate);
  std::string text = cat(done, "/", total_, " ", unit_, "s, ", numbers, " ", unit_, "s/s");
  if (rate > 0 && done < total_) text += ", " + duration(static_cast<double>(total_ - done) / rate) + " left";
  if (!note.empty()) text += ", " + note;
  if (log::stderr_is_tty()) {
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    drawn_ = true;
  } else {
    log::info(text);
  }
}

}  // namespace iuq
