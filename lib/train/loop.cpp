#include "lib/train/loop.h"

#include "lib/base/error.h"

namespace iuq::train {

bool When::due(const Moment& at) const {
  return at.step % every == 0 || (at_end && at.step == at.steps) || (on_stop && at.stopping);
}

Loop::Loop(int64_t done, int64_t steps, std::function<bool()> stop) : done_(done), steps_(steps), stop_(std::move(stop)) {}

void Loop::add(When when, Hook hook) {
  IUQ_ASSERT(when.every >= 1);
  hooks_.emplace_back(when, std::move(hook));
}

void Loop::run(const std::function<StepResult(int64_t step)>& step) {
  while (done_ < steps_) {
    const StepResult result = step(done_);
    ++done_;
    const Moment at{done_, steps_, done_ < steps_ && stop_(), result};
    for (const auto& [when, hook] : hooks_) {
      if (when.due(at)) hook(at);
    }
    if (at.stopping) {
      throw Error(ErrorCode::kInterrupted, "stopped by a signal; run the same command with --resume to go on");
    }
  }
}

}  // namespace iuq::train
