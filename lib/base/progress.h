#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace iuq {

/// Says how far a long loop is: a bar that redraws itself on a terminal, else one line every 30 s.
class Progress {
 public:
  /// `already`: items done before this run, so that a resumed run states its own rate.
  Progress(int64_t total, std::string unit, int64_t already = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` items of `total` are finished; `note` is shown after them (a loss, say).
  void update(int64_t done, const std::string& note = "");

 private:
  using Clock = std::chrono::steady_clock;
  int64_t total_;
  std::string unit_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
  int64_t already_;
  bool drawn_ = false;
};

}  // namespace iuq
