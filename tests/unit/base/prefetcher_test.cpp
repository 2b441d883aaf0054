#include "lib/base/prefetcher.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "lib/base/rng.h"
#include "tests/support/catch.h"

using namespace iuq;
using namespace std::chrono_literals;

namespace {

// A value that counts how many of its kind exist.
class Counted {
 public:
  Counted(std::atomic<int>& alive, size_t number) : index(number), alive_(&alive) { ++alive; }
  Counted(Counted&& other) noexcept : index(other.index), alive_(std::exchange(other.alive_, nullptr)) {}
  ~Counted() {
    if (alive_) --*alive_;
  }
  size_t index;

 private:
  std::atomic<int>* alive_;
};

// Whether `condition` comes true within five seconds.
template <typename Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
  return condition();
}

}  // namespace

TEST_CASE("prefetcher: values come in order, however long each takes", "[base][property]") {
  for (const size_t threads : {1, 2, 5}) {
    Prefetcher<std::unique_ptr<size_t>> items(
        60,
        [](size_t i) {
          std::this_thread::sleep_for(std::chrono::microseconds(Rng(1, "delay", i).below(2000)));
          return std::make_unique<size_t>(i);
        },
        threads, 5);
    REQUIRE(items.count() == 60);
    for (size_t i = 0; i < 60; ++i) {
      REQUIRE_FALSE(items.done());
      REQUIRE(*items.next() == i);
    }
    CHECK(items.done());
  }
}

TEST_CASE("prefetcher: no more values exist than asked for, and as many are made ahead", "[base][property]") {
  std::atomic<int> alive = 0, made = 0;
  std::atomic<bool> too_many = false;
  Prefetcher<Counted> items(
      20,
      [&](size_t i) {
        Counted item(alive, i);
        too_many = too_many || alive > 3 + 1;  // and the one that the owner holds
        ++made;
        return item;
      },
      8, 3);
  for (size_t i = 0; i < 20; ++i) {
    const Counted item = items.next();
    REQUIRE(item.index == i);
    const int wanted = static_cast<int>(std::min<size_t>(20, i + 1 + 3));
    REQUIRE(comes_true([&] { return made == wanted; }));
  }
  CHECK_FALSE(too_many);
  CHECK(alive == 0);
}

TEST_CASE("prefetcher: threads work at the same time", "[base]") {
  std::atomic<int> begun = 0;
  Prefetcher<bool> items(
      2,
      [&](size_t) {
        ++begun;
        return comes_true([&] { return begun == 2; });
      },
      2, 2);
  CHECK(items.next());
  CHECK(items.next());
}

TEST_CASE("prefetcher: what make() throws comes in its turn, and the values after it come", "[base][error]") {
  for (const size_t threads : {1, 4}) {
    Prefetcher<size_t> items(
        9,
        [](size_t i) {
          if (i % 3 == 1) throw Error(ErrorCode::kBadData, cat("item ", i));
          std::this_thread::sleep_for(1ms);
          return i;
        },
        threads, 4);
    for (size_t i = 0; i < 9; ++i) {
      if (i % 3 == 1) {
        REQUIRE_THROWS_WITH(items.next(), cat("item ", i));
      } else {
        REQUIRE(items.next() == i);
      }
    }
    CHECK(items.done());
  }
}

TEST_CASE("prefetcher: it stops when all of make() fails, also if nobody asks", "[base][error]") {
  const auto fail = [](size_t) -> std::string { throw 7; };
  Prefetcher<std::string> items(100, fail, 2, 3);
  for (int i = 0; i < 100; ++i) REQUIRE_THROWS_AS(items.next(), int);
  const Prefetcher<std::string> ignored(100, fail, 2, 3);
}

TEST_CASE("prefetcher: destroyed early, it waits for what has begun, begins nothing more and keeps nothing", "[base][error]") {
  std::atomic<int> alive = 0, begun = 0, ended = 0;
  {
    Prefetcher<Counted> items(
        1000,
        [&](size_t i) {
          ++begun;
          if (i >= 4) std::this_thread::sleep_for(20ms);
          Counted item(alive, i);
          ++ended;
          return item;
        },
        2, 4);
    REQUIRE(items.next().index == 0);
    REQUIRE(comes_true([&] { return begun == 5; }));  // 1, 2, 3 are ready, 4 is being made
  }
  CHECK(begun == 5);
  CHECK(ended == 5);
  CHECK(alive == 0);
}

TEST_CASE("prefetcher: destroyed with room left, it does not go on to the end", "[base][error]") {
  std::atomic<int> made = 0;
  {
    const Prefetcher<int> items(
        20,
        [&](size_t) {
          std::this_thread::sleep_for(50ms);
          return ++made;
        },
        1, 20);
  }
  CHECK(made < 10);  // at most one, but for a machine so busy that the destructor comes late
}

TEST_CASE("prefetcher: it is destroyed while its threads wait for room, or before they have begun", "[base][error]") {
  for (int i = 0; i < 200; ++i) {
    const Prefetcher<int> items(1000, [](size_t) { return 0; }, 3, 2);
    if (i % 2 == 0) std::this_thread::yield();
  }
}

TEST_CASE("prefetcher: none and too few are asked for", "[base][error]") {
  Prefetcher<int> none(0, [](size_t) { return 1; }, 4, 4);
  CHECK(none.done());
  CHECK_THROWS_AS(none.next(), Error);
  Prefetcher<int> one(1, [](size_t) { return 1; }, 0, 0);  // a thread and a value ahead there always are
  CHECK(one.next() == 1);
  CHECK_THROWS_AS(one.next(), Error);
}
