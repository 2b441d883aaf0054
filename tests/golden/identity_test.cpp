#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "tests/golden/setting.h"
#include "tests/support/catch.h"

using namespace iuq;

TEST_CASE("train: a finished run is up to date for the very same job, whatever the threads, and for no other",
          "[golden][property]") {
  test::StepSetting setting("cached", "solov2");
  setting.job.train.steps = 1;
  setting.job.uniq.batching = "random";  // so that negatives alone can be left out
  setting.train("run");
  const std::string run = setting / "run";
  const auto trains = [&](const train::TrainJob& job) { return train::train(job, run, false, false, /*dry_run=*/true); };
  train::TrainJob same = setting.job;
  same.threads = 3;
  REQUIRE_FALSE(trains(same));

  const std::vector<std::pair<const char*, std::function<void(train::TrainJob&)>>> changes = {
      {"input", [](auto& job) { job.input.flip = 0.25; }},
      {"view", [](auto& job) { job.view.flip = 0.25; }},
      {"train", [](auto& job) { job.train.lr = 0.01; }},
      {"uniq", [](auto& job) { job.uniq.ramp = 7; }},
      {"model", [](auto& job) { job.model["score_threshold"] = 0.5; }},
      {"seed", [](auto& job) { ++job.seed; }},
      {"weights", [&](auto& job) { job.weights = run + "/model.safetensors"; }},
      {"negatives", [](auto& job) { job.negatives.clear(); }},
      {"source", [&](auto& job) {
         job.features.clear();
         job.images = setting / "scenes/images";
       }}};
  for (const auto& [what, change] : changes) {
    CAPTURE(what);
    train::TrainJob other = setting.job;
    change(other);
    ErrorCode code{};
    try {
      trains(other);
    } catch (const Error& e) {
      code = e.code();
    }
    CHECK(code == ErrorCode::kCannotCreate);
  }
}
