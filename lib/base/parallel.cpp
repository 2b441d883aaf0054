#include "lib/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace iuq {

void parallel_for(size_t count, size_t grain, int threads, const std::function<void(size_t, size_t)>& body) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  size_t error_at = count;
  const auto work = [&] {
    while (!failed) {
      const size_t begin = next.fetch_add(grain);
      if (begin >= count) return;
      try {
        body(begin, std::min(count, begin + grain));
      } catch (...) {
        // Pieces are handed out in order, so every piece before this one still runs to its end.
        const std::lock_guard lock(mutex);
        if (begin < error_at) error = std::current_exception(), error_at = begin;
        failed = true;
      }
    }
  };
  const size_t pieces = (count + grain - 1) / grain;
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min(pieces, static_cast<size_t>(threads)); ++i) helpers.emplace_back(work);
  work();
  helpers.clear();
  if (error) std::rethrow_exception(error);
}

int usable_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

}  // namespace iuq
