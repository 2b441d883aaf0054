#include "lib/train/state.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "lib/io/json_file.h"
#include "lib/io/safetensors.h"
#include "lib/model/checkpoint.h"
#include "lib/model/tensor_bridge.h"
#include "lib/train/foreign_pixels.h"
#include "lib/train/metrics.h"
#include "lib/train/optimizer.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using namespace iuq::train;
using test::contains;
using test::refusal;

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

// A part that is a tensor and a number.
struct Counter {
  at::Tensor tensor = torch::zeros({2, 3});
  int64_t number = 0;
  StatePart part(const std::string& name) {
    return {name, [this] { return SavedPart{{{"tensor", tensor}}, number}; },
            [this](const SavedPart& saved) {
              tensor = saved.tensors.at(0).second;
              number = saved.value.get<int64_t>();
            }};
  }
};

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void write_tensors(const std::string& path, const NamedTensors& tensors) {
  io::TensorFile file;
  for (const auto& [name, tensor] : tensors) file.tensors.emplace_back(name, model::to_tensor_data(tensor));
  io::write_safetensors(path, file);
}

}  // namespace

TEST_CASE("state: parts come back as they were, by name", "[train][property]") {
  const test::TempFolder folder;
  Counter one, two;
  one.tensor = test::noise(1, {2, 3});
  one.number = 7;
  two.tensor = test::noise(2, {5});
  {
    State state;
    state.add(one.part("one"));
    state.add(two.part("two"));
    state.save(folder.path(), "abc");
  }
  CHECK(files_in(folder.path()) == std::vector<std::string>{"state.json", "state.safetensors"});
  CHECK(io::read_json(folder / "state.json") == nlohmann::json({{"digest", "abc"}, {"one", 7}, {"two", 0}}));
  Counter again_one, again_two;
  State state;
  state.add(again_two.part("two"));  // the order does not matter
  state.add(again_one.part("one"));
  state.load(folder.path());
  CHECK(at::equal(again_one.tensor, one.tensor));
  CHECK(at::equal(again_two.tensor, two.tensor));
  CHECK(again_one.number == 7);
}

TEST_CASE("state: a part that is missing, and one that nobody knows, are refused with what to do", "[train][error]") {
  const test::TempFolder folder;
  Counter counter;
  State state;
  state.add(counter.part("one"));
  state.save(folder.path(), "abc");
  State more, other;
  more.add(counter.part("one"));
  more.add(counter.part("averages"));
  const std::string missing = refusal(ErrorCode::kBadData, [&] { more.load(folder.path()); });
  CHECK(contains(missing, "\"averages\" is missing"));
  CHECK(contains(missing, folder.path()));
  CHECK(contains(missing, "--force"));
  const std::string unknown = refusal(ErrorCode::kBadData, [&] { other.load(folder.path()); });
  CHECK(contains(unknown, "no part \"one\""));

  bool loaded = false;
  State empty;
  empty.add(counter.part("one"));
  empty.add({.name = "nothing",
             .save = [] { return SavedPart(); },
             .load = [&](const SavedPart&) { loaded = true; },
             .may_be_empty = true});
  empty.save(folder.path(), "abc");
  empty.load(folder.path());
  CHECK_FALSE(loaded);
}

TEST_CASE("state: names are given once, and only to what can be saved", "[train][error]") {
  Counter counter;
  State state;
  state.add(counter.part("one"));
  CHECK_THROWS_AS(state.add(counter.part("one")), Error);
  CHECK_THROWS_AS(state.add(counter.part("a/b")), Error);
  CHECK_THROWS_AS(state.add(counter.part("digest")), Error);
}

TEST_CASE("state: values that are not finite are found wherever they are", "[train][property]") {
  for (const double value : {kNotANumber, static_cast<double>(INFINITY), -static_cast<double>(INFINITY)}) {
    for (const int64_t where : {0, 1, 7, 8, 4095, 100000}) {
      CAPTURE(value, where);
      at::Tensor tensor = test::noise(3, {100001});
      CHECK(first_not_finite({{"a", tensor}}).empty());
      tensor[where] = value;
      CHECK(first_not_finite({{"fine", torch::ones({3})}, {"a", tensor}, {"b", tensor}}) == "a");
    }
  }
  CHECK(first_not_finite({{"half", torch::full({4}, INFINITY, at::kHalf)}}) == "half");
  // The sum of these would not be finite, but each is.
  const NamedTensors fine = {{"large", torch::full({64}, 3e38)},
                             {"integers", torch::ones({2}, at::kLong)},
                             {"none", torch::zeros({0})},
                             {"undefined", at::Tensor()},
                             {"double", torch::full({1}, 1e300, at::kDouble)}};
  CHECK(first_not_finite(fine).empty());
}

TEST_CASE("state: nothing is written when a value is not finite", "[train][error]") {
  const test::TempFolder folder;
  Counter counter;
  at::Tensor weight = torch::ones({4});
  State state;
  state.add({.name = "model",
             .tensors = [&] { return NamedTensors{{"head.weight", weight}}; },
             .write = [&](const std::string& path) { write_tensors(path, {{"head.weight", weight}}); },
             .read = [](const std::string&) {}});
  state.add(counter.part("one"));
  counter.tensor[1][2] = kNotANumber;
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { state.save(folder.path(), "abc"); }), "\"one/tensor\""));
  counter.tensor = torch::zeros({1});
  weight[3] = kNotANumber;
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { state.save(folder.path(), "abc"); }), "\"model/head.weight\""));
  refusal(ErrorCode::kBadData, [&] { state.check_finite(); });
  CHECK(files_in(folder.path()).empty());
  weight[3] = 1;
  state.save(folder.path(), "abc");
  CHECK(files_in(folder.path()) == std::vector<std::string>{"model.safetensors", "state.json", "state.safetensors"});
}

TEST_CASE("state: a checkpoint with a value that is not finite is refused with what to do", "[train][error]") {
  const test::TempFolder folder;
  Counter counter;
  State state;
  state.add(counter.part("one"));
  state.save(folder.path(), "abc");
  write_tensors(folder / "state.safetensors", {{"one/tensor", torch::full({2}, kNotANumber)}});
  const std::string said = refusal(ErrorCode::kBadData, [&] { state.load(folder.path()); });
  for (const char* part : {"one/tensor", "not finite", "--resume", "--force", "damaged"}) CHECK(contains(said, part));
  io::write_json(folder / "state.json", nlohmann::json::array());
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { state.load(folder.path()); }), folder.path()));
}

TEST_CASE("state: optimiser, memory and metrics come back to the last bit", "[train][property]") {
  test::TinyRun run;
  for (const char* kind : {"sgd", "adamw"}) {
    CAPTURE(kind);
    run.job.train.optimizer = kind;
    const test::Pieces pieces(run.job);
    struct Parts {
      Optimizer optimizer;
      ForeignPixels memory;
      MetricsWindow window;
      State state;
      Parts(const train::TrainJob& job, model::Segmenter& segmenter)
          : optimizer(job.train, segmenter), memory(job.uniq, nullptr, at::kCPU, 0) {
        state.add({"optimizer", [this] { return SavedPart{optimizer.state(), nullptr}; },
                   [this](const SavedPart& saved) { optimizer.set_state(saved.tensors); }});
        state.add({"memory", [this] { return SavedPart{memory.state(), nullptr}; },
                   [this](const SavedPart& saved) { memory.set_state(saved.tensors); }});
        state.add({"window", [this] { return SavedPart{{}, window.saved()}; },
                   [this](const SavedPart& saved) { window = MetricsWindow(saved.value.get<std::string>()); }});
      }
    };
    Parts first(run.job, *pieces.segmenter), second(run.job, *pieces.segmenter);
    const auto terms = loss_terms(*pieces.segmenter, run.job.uniq, &first.memory, 0);
    Step step(*pieces.segmenter, first.optimizer, terms, 0);
    for (int64_t i = 0; i < 4; ++i) first.window.add(step.take(pieces.source->make({0, 1}, i), i));
    REQUIRE(first.memory.fill() == 60);  // it has begun to overwrite its oldest entries
    const std::string one = run.folder / cat(kind, "1"), two = run.folder / cat(kind, "2");
    for (const std::string& folder : {one, two}) std::filesystem::create_directory(folder);
    first.state.save(one, "abc");
    second.state.load(one);
    second.state.save(two, "abc");
    for (const char* file : {"/state.safetensors", "/state.json"}) {
      CHECK(test::read_bytes(one + file) == test::read_bytes(two + file));
    }
    CHECK(second.memory.fill() == 60);
    CHECK(at::equal(second.memory.entries().pixels.embeddings, first.memory.entries().pixels.embeddings));

    // Of a run with more parameters, or one with fewer, or with half of a parameter's state.
    NamedTensors state = first.optimizer.state();
    state.emplace_back("exp_avg.nobody", torch::ones({1}));
    CHECK(contains(refusal(ErrorCode::kBadData, [&] { second.optimizer.set_state(state); }), "exp_avg.nobody"));
    state.pop_back();
    if (std::string(kind) == "adamw") {
      state.erase(state.begin());
      CHECK(contains(refusal(ErrorCode::kBadData, [&] { second.optimizer.set_state(state); }), "not whole"));
    }
    refusal(ErrorCode::kBadData, [&] { second.memory.set_state({{"next", torch::zeros({1}, at::kLong)}}); });
  }
}
