#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "lib/base/signals.h"
#include "lib/train/step.h"

namespace iuq::train {

/// What the loop tells a hook.
struct Moment {
  int64_t step = 0;       // steps done, counted from the start of the run
  int64_t steps = 0;      // of the whole run
  bool stopping = false;  // a signal asks to stop: nothing follows in this process, though the run is not complete
  const StepResult& result;  // of the step that was just done
};

/// After which steps a hook is called.
struct When {
  int64_t every = 1;     // after steps every, 2 * every, ... of the run, wherever this process began; >= 1
  bool at_end = false;   // and after the last step of the run
  bool on_stop = false;  // and after the last step before a stop
  bool due(const Moment& at) const;
};

/// Takes steps, and calls hooks after each. A hook that has to remember something captures it; what it remembers survives a
/// resume if it is a part of the State. Idea: the hooks of detectron2's engine/train_loop.py.
class Loop {
 public:
  using Hook = std::function<void(const Moment&)>;

  /// `done` steps of `steps` have been taken before. `stop` is asked once after each step.
  Loop(int64_t done, int64_t steps, std::function<bool()> stop = stop_requested);
  /// Hooks are called in the order in which they were added. One that throws ends the loop: those after it are not called.
  void add(When when, Hook hook);
  /// `step` takes the step of that number, 0-based. Error(kInterrupted) when it was stopped before the last one, after the
  /// hooks of the step that was under way.
  void run(const std::function<StepResult(int64_t step)>& step);

 private:
  int64_t done_;
  int64_t steps_;
  std::function<bool()> stop_;
  std::vector<std::pair<When, Hook>> hooks_;
};

}  // namespace iuq::train
