#pragma once

// Threads: the owner calls the constructor, next(), done() and the destructor, one at a time. Workers call make().
// Invariants: taken_ <= started_ <= taken_ + slots_.size(), so at most slots_.size() values are made or being made.
//   Item i has slot i % slots_.size() for itself: its worker writes it from when the item is started until it is `ready`,
//   then the owner reads it until the item is taken. So slots are used without the lock, their `ready` under it.
// Locks: mutex_ guards started_, taken_ and `ready`. It is the only lock and is never held while make() runs or a value is
//   moved, so make() may take any lock of its own.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/error.h"

namespace iuq {

/// The values make(0), make(1) ... make(count - 1), made on threads of its own while the one before is worked on, and handed
/// out in order. Indices are given to the threads in order as well; with one thread the calls of make() never overlap.
template <typename T>
class Prefetcher {
 public:
  /// Starts at once. `make` must be callable from several threads if `threads` > 1; what it refers to must outlive this object.
  /// At most `ahead` values (at least 1) exist that next() has not handed out; more threads than that are not started.
  Prefetcher(size_t count, std::function<T(size_t)> make, size_t threads = 1, size_t ahead = 1)
      : count_(count), make_(std::move(make)), slots_(std::max<size_t>(1, ahead)) {
    const size_t useful = std::min({std::max<size_t>(1, threads), slots_.size(), count});
    for (size_t i = 0; i < useful; ++i) workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
  /// Drops what was not asked for. Waits for the calls of make() that have begun; no other begins.
  ~Prefetcher() {
    for (std::jthread& worker : workers_) worker.request_stop();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  size_t count() const { return count_; }
  /// Whether all values have been handed out.
  bool done() const { return taken_ == count_; }  // only the owner writes taken_
  /// The next value, waiting for it if need be. Throws what make() threw for it; the values after it still come.
  T next() {
    IUQ_ASSERT(!done());
    Slot& slot = slots_[taken_ % slots_.size()];
    {
      std::unique_lock lock(mutex_);
      made_.wait(lock, [&] { return slot.ready; });
    }
    std::optional<T> value = std::exchange(slot.value, std::nullopt);
    const std::exception_ptr error = std::exchange(slot.error, nullptr);
    {
      const std::lock_guard lock(mutex_);
      slot.ready = false;
      ++taken_;
    }
    room_.notify_one();
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }

 private:
  struct Slot {
    std::optional<T> value;    // one of the two
    std::exception_ptr error;
    bool ready = false;
  };

  void work(const std::stop_token& stop) {
    while (true) {
      size_t index = 0;
      {
        std::unique_lock lock(mutex_);
        const auto can_go_on = [&] { return started_ == count_ || started_ < taken_ + slots_.size(); };
        if (!room_.wait(lock, stop, can_go_on) || stop.stop_requested() || started_ == count_) return;
        index = started_++;
      }
      Slot& slot = slots_[index % slots_.size()];
      try {
        slot.value.emplace(make_(index));
      } catch (...) {
        slot.error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        slot.ready = true;
      }
      made_.notify_one();
    }
  }

  const size_t count_;
  const std::function<T(size_t)> make_;
  std::vector<Slot> slots_;
  size_t started_ = 0;  // items that a worker has been given
  size_t taken_ = 0;    // items that next() has handed out
  std::mutex mutex_;
  std::condition_variable made_;      // a slot became ready; the owner waits
  std::condition_variable_any room_;  // an item may be started; workers wait
  std::vector<std::jthread> workers_;  // last: joined before the rest goes
};

}  // namespace iuq
