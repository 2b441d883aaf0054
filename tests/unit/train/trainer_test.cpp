#include "lib/train/trainer.h"

#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "lib/data/sampler.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"
#include "lib/io/safetensors.h"
#include "lib/model/checkpoint.h"
#include "lib/model/tensor_bridge.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using nlohmann::json;
using test::contains;
using test::read_bytes;
using test::refusal;
using test::TinyRun;

namespace {

std::function<bool()> stop_after(int64_t steps) {
  return [left = steps]() mutable { return --left <= 0; };
}

// The lines of metrics.jsonl without the times.
std::vector<nlohmann::json> metrics_of(const std::string& folder) {
  std::ifstream in(folder + "/metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(nlohmann::json::parse(line));
    lines.back().erase("seconds");
    lines.back().erase("images_per_second");
  }
  return lines;
}

std::string checkpoint(const std::string& run, int64_t step) { return cat(run, "/checkpoints/step-0000000", step); }

void same_run(const std::string& one, const std::string& two) {
  CHECK(metrics_of(one) == metrics_of(two));
  CHECK(read_bytes(one + "/model.safetensors") == read_bytes(two + "/model.safetensors"));
}

void drop_image(const std::string& annotations, const json& id) {
  json set = json::parse(read_bytes(annotations));
  const auto drop = [&](json& list, const char* key) {
    json kept = json::array();
    for (const json& item : list) {
      if (item.at(key) != id) kept.push_back(item);
    }
    list = kept;
  };
  drop(set["images"], "id");
  drop(set["annotations"], "image_id");
  std::ofstream(annotations) << set.dump();
}

// A run that was stopped after two steps, in the middle of a line of the metrics and with a memory that is not full.
struct Stopped {
  TinyRun tiny;
  std::string output = tiny.folder / "run";
  std::string saved = checkpoint(output, 2);

  Stopped() {
    tiny.job.stop = stop_after(2);
    refusal(ErrorCode::kInterrupted, [&] { tiny.run("run"); });
    REQUIRE(io::exists(saved + "/DONE"));
    tiny.job.stop = [] { return false; };
  }
  // Replaces a tensor of a file, or drops it.
  static void edit(const std::string& path, const std::string& name, const std::function<at::Tensor(at::Tensor)>& change) {
    io::TensorFile file = io::read_safetensors(path);
    bool found = false;
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      if (file.tensors[i].first != name) continue;
      found = true;
      const at::Tensor changed = change(model::to_tensor(file.tensors[i].second));
      if (changed.defined()) {
        file.tensors[i].second = model::to_tensor_data(changed);
      } else {
        file.tensors.erase(file.tensors.begin() + static_cast<std::ptrdiff_t>(i));
      }
      break;
    }
    REQUIRE(found);
    io::write_safetensors(path, file);
  }
  std::string resume_refused() {
    const std::string said = refusal(ErrorCode::kBadData, [&] { tiny.run("run", /*resume=*/true); });
    CHECK(contains(said, saved));
    CHECK(contains(said, "--force"));
    CHECK_FALSE(io::exists(output + "/model.safetensors"));
    return said;
  }
};

at::Tensor with_nan(at::Tensor tensor) {
  tensor.flatten()[tensor.numel() - 1] = std::numeric_limits<double>::quiet_NaN();
  return tensor;
}

// A weight of the head: that a backbone is whole is checked wherever weights are loaded.
std::string a_weight(const std::string& path) {
  for (const auto& [name, data] : io::read_safetensors(path).tensors) {
    const bool other = name.starts_with("backbone.") || name.find("norm") != std::string::npos;
    if (name.ends_with("weight") && !other) return name;
  }
  return "";
}

}  // namespace

TEST_CASE("train: a run that is stopped and resumed is the run that was not, byte for byte", "[train][property]") {
  TinyRun tiny;
  const bool cached = GENERATE(false, true);
  CAPTURE(cached);
  if (cached) tiny.use_cache();
  tiny.job.train.checkpoint_every = 4;
  REQUIRE(tiny.run("whole"));
  REQUIRE(metrics_of(tiny.folder / "whole").size() == 3);
  CHECK(metrics_of(tiny.folder / "whole").at(2).at("losses").contains("inter"));
  CHECK(metrics_of(tiny.folder / "whole").at(2).at("losses").contains("equi"));
  for (const int64_t stop : {2, 5}) {  // within the first and the second line of the metrics, before and after a checkpoint
    CAPTURE(stop);
    const std::string name = cat("stopped", stop), output = tiny.folder / name;
    tiny.job.stop = stop_after(stop);
    refusal(ErrorCode::kInterrupted, [&] { tiny.run(name); });
    CHECK(io::exists(checkpoint(output, stop) + "/DONE"));
    tiny.job.stop = [] { return false; };
    // As if it had gone on after its last checkpoint until it was killed in the middle of a line.
    std::ofstream(output + "/metrics.jsonl", std::ios::app) << R"({"step": 6, "loss": 0})" << "\n{\"step\": 9, \"lo";
    refusal(ErrorCode::kCannotCreate, [&] { tiny.run(name); });  // not without --resume
    REQUIRE(tiny.run(name, /*resume=*/true));
    same_run(tiny.folder / "whole", output);
    if (stop == 5) continue;  // its checkpoint of step 4 has been dropped
    for (const char* file : {"/model.safetensors", "/state.safetensors", "/state.json"}) {
      CHECK(read_bytes(checkpoint(output, 4) + file) == read_bytes(checkpoint(tiny.folder / "whole", 4) + file));
    }
  }
  CHECK_FALSE(tiny.run("whole"));  // up to date
}

TEST_CASE("train: a subset of the images is all that is read", "[train][property]") {
  TinyRun tiny;
  tiny.job.train.images = 2;
  const data::Dataset dataset = data::Dataset::load(tiny.job.annotations);
  const std::vector<int64_t> subset = data::nested_subset(dataset, {0, 1, 2, 3, 4, 5}, 2);
  for (int64_t i = 0; i < 6; ++i) {
    if (std::find(subset.begin(), subset.end(), i) != subset.end()) continue;
    std::filesystem::remove(tiny.folder / dataset.images()[static_cast<size_t>(i)].file_name);
  }
  REQUIRE(tiny.run("subset"));
  tiny.job.train.images = 3;
  refusal(ErrorCode::kNoInput, [&] { tiny.run("more"); });
}

TEST_CASE("train: a subset is of the images that there are, and not among mined negatives of all", "[train][error]") {
  TinyRun tiny;
  tiny.job.train.images = 7;
  CHECK(contains(refusal(ErrorCode::kConfig, [&] { tiny.run("run"); }), "has 6 images"));
  tiny.use_cache();
  tiny.job.train.images = 2;
  CHECK(contains(refusal(ErrorCode::kConfig, [&] { tiny.run("run"); }), "train.images"));
}

TEST_CASE("train: a mended or dropped image does not cost the run, once the change is accepted", "[train][property]") {
  TinyRun tiny;
  tiny.job.train.checkpoint_every = 2;
  const std::string image = tiny.folder / "103.png", whole = read_bytes(image);
  std::ofstream(image, std::ios::binary) << whole.substr(0, whole.size() / 2);
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { tiny.run("run"); }), "1 of 6 images cannot be used"));
  tiny.job.max_errors = 1;
  tiny.job.stop = stop_after(2);
  refusal(ErrorCode::kInterrupted, [&] { tiny.run("run"); });
  tiny.job.stop = [] { return false; };
  std::ofstream(image, std::ios::binary) << whole;
  CHECK(contains(refusal(ErrorCode::kCannotCreate, [&] { tiny.run("run", /*resume=*/true); }), "1 image is new (103)"));

  // And now another one leaves the file of annotations.
  drop_image(tiny.job.annotations, 106);
  const std::string said = refusal(ErrorCode::kCannotCreate, [&] { tiny.run("run", /*resume=*/true); });
  CHECK(contains(said, "1 image is gone (106), 1 image is new (103)"));
  CHECK(contains(said, "--accept-changes"));
  tiny.job.accept_changes = true;
  tiny.job.stop = stop_after(2);
  refusal(ErrorCode::kInterrupted, [&] { tiny.run("run", /*resume=*/true); });
  tiny.job.accept_changes = false;
  tiny.job.stop = [] { return false; };
  REQUIRE(tiny.run("run", /*resume=*/true));  // accepted once, it is the run's own
  const json chain = model::weights_provenance(tiny.folder / "run/model.safetensors");
  CHECK(chain.at("entries").back().at("accepted_changes").size() == 1);
  CHECK_FALSE(tiny.run("run"));  // up to date

  // Another config stays another run.
  tiny.job.train.checkpoint_every = 2;
  tiny.job.stop = stop_after(2);
  refusal(ErrorCode::kInterrupted, [&] { tiny.run("other"); });
  tiny.job.train.lr = 0.001;
  tiny.job.accept_changes = true;
  const std::string other = refusal(ErrorCode::kCannotCreate, [&] { tiny.run("other", /*resume=*/true); });
  CHECK(contains(other, "the config differs at \"train.lr\""));
}

TEST_CASE("train: images are called by the strings that are their ids", "[train][error]") {
  TinyRun tiny;
  test::name_images(tiny.job.annotations);
  tiny.job.train.checkpoint_every = 2;
  tiny.job.stop = stop_after(2);
  refusal(ErrorCode::kInterrupted, [&] { tiny.run("run"); });
  drop_image(tiny.job.annotations, "shot_106");
  const std::string said = refusal(ErrorCode::kCannotCreate, [&] { tiny.run("run", /*resume=*/true); });
  CHECK(contains(said, "1 image is gone (shot_106)"));
  CHECK(contains(read_bytes(tiny.folder / "run/inputs.json"), "\"shot_106\""));
  tiny.job.train.optimizer = "sgd";
  tiny.job.train.warmup = 0;
  tiny.job.train.lr = 1e5;
  tiny.job.stop = [] { return false; };
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { tiny.run("diverges"); }), "images shot_1"));
}

TEST_CASE("train: the metrics begin with what is learnt from and what is not, and say it again when that changes", "[train][property]") {
  TinyRun tiny;
  json set = json::parse(read_bytes(tiny.job.annotations));
  json& annotations = set["annotations"];
  annotations.erase(annotations.begin() + 10, annotations.end());  // those of image 100
  annotations[0]["segmentation"] = {{1, 1, 3, 1, 3, 3, 1, 3}};
  annotations[0]["area"] = 4;
  annotations[2]["iscrowd"] = 1;
  annotations[4]["segmentation"] = json::array();
  annotations[7]["id"] = 7;
  std::ofstream(tiny.job.annotations) << set.dump();
  const std::string image = tiny.folder / "103.png", whole = read_bytes(image);
  std::ofstream(image, std::ios::binary) << whole.substr(0, whole.size() / 2);
  tiny.job.max_errors = 1;
  tiny.job.train.min_pixels = 100;
  tiny.job.train.checkpoint_every = 2;
  const auto data_lines = [&] {
    std::vector<json> lines = metrics_of(tiny.folder / "run");
    std::erase_if(lines, [](const json& line) { return !line.contains("data"); });
    return lines;
  };
  const auto stopped = [&](bool resume) {
    tiny.job.stop = stop_after(2);
    refusal(ErrorCode::kInterrupted, [&] { tiny.run("run", resume); });
  };
  stopped(false);
  json data = {{"images", 4}, {"instances", 5}, {"empty_images", 1}, {"unusable_images", 1}, {"small_instances", 1}, {"crowds", 1},
               {"faults", {{"no_mask", 1}, {"repeated_id", 1}}}};
  CHECK(metrics_of(tiny.folder / "run").front() == json({{"step", 0}, {"data", data}}));
  CHECK(data_lines().size() == 1);
  std::ofstream(image, std::ios::binary) << whole;
  tiny.job.accept_changes = true;
  stopped(true);
  data["images"] = 5;
  data["instances"] = 7;
  data["unusable_images"] = 0;
  REQUIRE(data_lines().size() == 2);
  CHECK(data_lines().back() == json({{"step", 2}, {"data", data}}));
  tiny.job.stop = [] { return false; };
  REQUIRE(tiny.run("run", /*resume=*/true));
  CHECK(data_lines().size() == 2);
}

TEST_CASE("train: a dry run finds what is wrong with the weights, as the run does", "[train][error]") {
  TinyRun tiny;
  REQUIRE(tiny.run("base"));
  tiny.job.weights = tiny.folder / "base/model.safetensors";
  const auto refused = [&](ErrorCode code) {
    std::vector<std::string> said;
    for (const bool dry_run : {true, false}) {
      said.push_back(refusal(code, [&] { train::train(tiny.job, tiny.folder / "run", false, false, dry_run); }));
      CHECK_FALSE(io::exists(tiny.folder / "run"));
    }
    CHECK(said[0] == said[1]);
    return said[0];
  };
  CHECK(train::train(tiny.job, tiny.folder / "run", false, false, /*dry_run=*/true));
  tiny.job.train.skip_weights = {"head.kernel", "ins_heat."};
  const std::string said = refused(ErrorCode::kConfig);
  CHECK(contains(said, "\"head.kernel\""));
  tiny.job.train.skip_weights = {"ins_heat."};
  CHECK(contains(refused(ErrorCode::kConfig), "near: ins_head"));
  tiny.job.train.skip_weights = {};
  std::ofstream(tiny.job.weights, std::ios::binary) << "no weights";
  refused(ErrorCode::kBadData);
}

TEST_CASE("train: every part of the state is needed to go on as before", "[train][property]") {
  TinyRun tiny;
  REQUIRE(tiny.run("whole"));
  for (const char* part : {"optimizer/", "memory/"}) {
    CAPTURE(part);
    Stopped stopped;
    io::TensorFile file = io::read_safetensors(stopped.saved + "/state.safetensors");
    for (auto& [name, data] : file.tensors) {
      const bool values = name.starts_with(part) && data.dtype == io::DType::kF32;
      if (values) data = model::to_tensor_data(model::to_tensor(data) * 2);
    }
    io::write_safetensors(stopped.saved + "/state.safetensors", file);
    REQUIRE(stopped.tiny.run("run", /*resume=*/true));
    CHECK(read_bytes(stopped.output + "/model.safetensors") != read_bytes(tiny.folder / "whole/model.safetensors"));
  }
}

TEST_CASE("train: a run that diverges leaves no checkpoint with a value that is not finite", "[train][error]") {
  TinyRun tiny;
  tiny.job.train.optimizer = "sgd";
  tiny.job.train.warmup = 0;
  tiny.job.train.schedule = "constant";
  tiny.job.train.checkpoint_every = 1;
  for (const double lr : {3e38, 1e5}) {
    CAPTURE(lr);
    tiny.job.train.lr = lr;
    const std::string name = cat("run", lr), output = tiny.folder / name;
    const std::string said = refusal(ErrorCode::kBadData, [&] { tiny.run(name); });
    CHECK(contains(said, "not finite"));
    CHECK(contains(said, "train.lr"));
    // At the large rate the loss is fine and the first update is not.
    CHECK(contains(said, lr > 1e10 ? "model/" : "images "));
    CHECK_FALSE(io::exists(output + "/model.safetensors"));
    for (const auto& entry : std::filesystem::directory_iterator(output + "/checkpoints")) {
      CHECK(io::exists(entry.path().string() + "/DONE"));  // nothing half-written is left
      for (const char* file : {"/model.safetensors", "/state.safetensors"}) {
        for (const auto& [tensor, data] : io::read_safetensors(entry.path().string() + file).tensors) {
          CAPTURE(entry.path().string(), tensor);
          CHECK(at::isfinite(model::to_tensor(data)).all().item<bool>());
        }
      }
      CHECK_FALSE(contains(read_bytes(entry.path().string() + "/state.json"), "null"));
    }
  }
  // Without a checkpoint after it, the last update is looked at before the result is written.
  tiny.job.train.lr = 3e38;
  tiny.job.train.steps = 1;
  tiny.job.train.checkpoint_every = 100;
  CHECK(contains(refusal(ErrorCode::kBadData, [&] { tiny.run("short"); }), "model/"));
  CHECK_FALSE(io::exists(tiny.folder / "short/model.safetensors"));
}

TEST_CASE("train: a checkpoint with values that are not finite is refused with what to do", "[train][error]") {
  for (const char* where : {"weight", "optimizer", "memory", "window"}) {
    CAPTURE(where);
    Stopped stopped;
    const std::string part = where;
    if (part == "weight") {
      const std::string path = stopped.saved + "/model.safetensors", name = a_weight(path);
      Stopped::edit(path, name, with_nan);
      CHECK(contains(stopped.resume_refused(), name));
    } else if (part == "window") {
      nlohmann::json state = io::read_json(stopped.saved + "/state.json");
      nlohmann::json window = nlohmann::json::parse(state["window"].get<std::string>());
      window["sums"][0][1] = nullptr;  // as a NaN is written
      state["window"] = window.dump();
      io::write_json(stopped.saved + "/state.json", state);
      CHECK(contains(stopped.resume_refused(), "null"));
    } else {
      const std::string path = stopped.saved + "/state.safetensors";
      const std::string weight = a_weight(stopped.saved + "/model.safetensors");
      const std::string name = part == "memory" ? "memory/embeddings" : "optimizer/exp_avg." + weight;
      Stopped::edit(path, name, with_nan);
      CHECK(contains(stopped.resume_refused(), name));
    }
    if (part != "window") continue;
    // What it says to do helps: without this checkpoint, which is the only one, the run starts anew.
    std::filesystem::remove_all(stopped.saved);
    CHECK(stopped.tiny.run("run", /*resume=*/true));
  }
}

TEST_CASE("train: a checkpoint that lacks something, or has too much, is refused with what to do", "[train][error]") {
  const auto gone = [](const at::Tensor&) { return at::Tensor(); };
  {
    Stopped stopped;
    const std::string name = a_weight(stopped.saved + "/model.safetensors");
    Stopped::edit(stopped.saved + "/model.safetensors", name, gone);
    CHECK(contains(stopped.resume_refused(), name));
  }
  {
    Stopped stopped;
    io::TensorFile file = io::read_safetensors(stopped.saved + "/state.safetensors");
    file.tensors.emplace_back("averages/head", model::to_tensor_data(torch::ones({1})));
    io::write_safetensors(stopped.saved + "/state.safetensors", file);
    CHECK(contains(stopped.resume_refused(), "\"averages\""));
  }
  for (const char* file : {"model.safetensors", "state.safetensors"}) {
    Stopped stopped;
    std::filesystem::remove(stopped.saved + "/" + file);
    const std::string said = stopped.resume_refused();
    CHECK(contains(said, file));
    CHECK(contains(said, "delete this folder"));
  }
  for (const char* part : {"memory/", "optimizer/"}) {
    Stopped stopped;
    io::TensorFile file = io::read_safetensors(stopped.saved + "/state.safetensors");
    std::erase_if(file.tensors, [&](const auto& tensor) { return tensor.first.starts_with(part); });
    io::write_safetensors(stopped.saved + "/state.safetensors", file);
    CHECK(contains(stopped.resume_refused(), "is missing"));
  }
  const std::vector<std::pair<const char*, nlohmann::json>> values = {
      {"step", nullptr}, {"step", -1}, {"step", 7}, {"step", "2"}, {"window", nullptr}, {"window", 3}, {"window", "{}"}};
  Stopped stopped;
  const nlohmann::json state = io::read_json(stopped.saved + "/state.json");
  for (const auto& [key, value] : values) {
    CAPTURE(key, value.dump());
    nlohmann::json other = state;
    other[key] = value;
    io::write_json(stopped.saved + "/state.json", other);
    stopped.resume_refused();
  }
  nlohmann::json other = state;
  other.erase("digest");
  io::write_json(stopped.saved + "/state.json", other);
  stopped.resume_refused();
}
