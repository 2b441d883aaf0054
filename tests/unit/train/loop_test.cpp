#include "lib/train/loop.h"

#include <string>

#include "lib/base/error.h"
#include "tests/support/catch.h"

using namespace iuq;
using namespace iuq::train;

namespace {

bool never() { return false; }

// The steps done at which each of the hooks "a", "b", ... is called, in the order of the calls.
std::string calls_of(const std::vector<When>& hooks, int64_t done, int64_t steps,
                     const std::function<bool()>& stop = never) {
  std::string calls;
  Loop loop(done, steps, stop);
  for (size_t i = 0; i < hooks.size(); ++i) {
    loop.add(hooks[i], [&calls, i](const Moment& at) {
      calls += static_cast<char>('a' + i) + std::to_string(at.step) + " ";
    });
  }
  try {
    loop.run([](int64_t) { return StepResult(); });
  } catch (const Error& e) {
    calls += e.code() == ErrorCode::kInterrupted ? "interrupted" : "error";
  }
  return calls;
}

std::function<bool()> stop_after(int64_t steps) {
  return [left = steps]() mutable { return --left <= 0; };
}

}  // namespace

TEST_CASE("loop: hooks are called after their steps, in the order in which they were added", "[train]") {
  CHECK(calls_of({{.every = 2}, {}}, 0, 4) == "b1 a2 b2 b3 a4 b4 ");
  CHECK(calls_of({{.every = 2}, {.every = 3}}, 0, 6) == "a2 b3 a4 a6 b6 ");
  CHECK(calls_of({{.every = 3}}, 0, 5) == "a3 ");
  CHECK(calls_of({{.every = 3, .at_end = true}}, 0, 5) == "a3 a5 ");
  CHECK(calls_of({{.every = 5, .at_end = true}}, 0, 5) == "a5 ");
}

TEST_CASE("loop: a resumed run counts from the start of the run", "[train]") {
  CHECK(calls_of({{.every = 3}}, 4, 9) == "a6 a9 ");
  CHECK(calls_of({{}}, 9, 9).empty());
}

TEST_CASE("loop: a stop calls the hooks of that step and those for stops, then says that it was interrupted",
          "[train][error]") {
  const std::vector<When> hooks = {{.every = 2}, {.every = 100, .at_end = true}, {.every = 100, .on_stop = true}};
  CHECK(calls_of(hooks, 0, 9, stop_after(3)) == "a2 c3 interrupted");
  CHECK(calls_of(hooks, 0, 9, stop_after(4)) == "a2 a4 c4 interrupted");
  // After the last step there is nothing to go on with.
  CHECK(calls_of(hooks, 0, 3, stop_after(3)) == "a2 b3 ");
}

TEST_CASE("loop: steps are numbered from 0, and hooks get their result", "[train]") {
  Loop loop(2, 4, never);
  std::vector<int64_t> seen;
  loop.add({}, [&](const Moment& at) {
    REQUIRE(at.steps == 4);
    REQUIRE(at.result.image_ids == std::vector<int64_t>{at.step - 1});
    seen.push_back(at.step);
  });
  loop.run([](int64_t step) { return StepResult{{}, {}, {step}}; });
  CHECK(seen == std::vector<int64_t>{3, 4});
}

TEST_CASE("loop: a hook may keep a state, and one that throws keeps those after it from being called", "[train][error]") {
  Loop loop(0, 9, never);
  int64_t saved = 0;
  loop.add({}, [sum = int64_t{0}](const Moment& at) mutable {
    sum += at.step;
    if (sum > 6) throw Error(ErrorCode::kBadData, "diverged");
  });
  loop.add({}, [&](const Moment& at) { saved = at.step; });
  REQUIRE_THROWS_AS(loop.run([](int64_t) { return StepResult(); }), Error);
  CHECK(saved == 3);
}
