// What a resumed run is told to have changed.
#include "lib/train/run_inputs.h"

#include <nlohmann/json.hpp>

#include "lib/io/atomic_file.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using nlohmann::json;
using train::RunInputs;

namespace {

RunInputs some_inputs() {
  RunInputs inputs;
  inputs.categories = {"1 a", "2 b"};
  for (int64_t id = 1; id <= 8; ++id) inputs.images[id] = {"truth", "file"};
  return inputs;
}

json entry(const json& config, const std::vector<std::pair<std::string, std::string>>& inputs) {
  json list = json::array();
  for (const auto& [name, digest] : inputs) list.push_back({{"name", name}, {"digest", digest}});
  return {{"entries", {{{"config", config}, {"inputs", list}}}}};
}

}  // namespace

TEST_CASE("run_inputs: each kind of change is told with the images that it is of", "[train][property]") {
  const RunInputs before = some_inputs();
  CHECK(before.changes_to(before).empty());
  RunInputs now = before;
  now.images.erase(2);
  now.images[9] = {"truth", "file"};
  now.images[10] = {"truth", "file"};
  now.images[3].truth = "other";
  now.images[4].file = "other";
  now.images[5] = {"other", "other"};
  CHECK(before.changes_to(now) ==
        std::vector<std::string>{"1 image is gone (2)", "2 images are new (9, 10)", "2 images have other annotations (3, 5)",
                                 "2 images have other files (4, 5)"});
  for (int64_t id = 3; id <= 8; ++id) now.images[id].file = "new";
  CHECK(before.changes_to(now).back() == "6 images have other files (3, 4, 5, 6, 7, ...)");
}

TEST_CASE("run_inputs: what is written is read back, and what is something else is named", "[train][error]") {
  const test::TempFolder folder;
  const std::string path = folder / "inputs.json";
  CHECK_FALSE(RunInputs::read(path));
  some_inputs().write(path);
  const auto read = RunInputs::read(path);
  REQUIRE(read);
  CHECK((read->images == some_inputs().images));
  CHECK(read->categories == some_inputs().categories);
  for (const char* text : {"{}", R"({"categories": [1], "images": []})", R"({"categories": [], "images": [[1, "a"]]})",
                           R"({"categories": [], "images": [[[], "a", "b"]]})"}) {
    io::write_text(path, text);
    CHECK(test::contains(test::refusal(ErrorCode::kBadData, [&] { RunInputs::read(path); }), "inputs.json"));
  }
}

TEST_CASE("run_inputs: runs that differ in their data alone are told from others", "[train][property]") {
  const json config = {{"train", {{"lr", 1}}}, {"left_out", {{{"id", 3}}}}};
  const json run = entry(config, {{"annotations", "a"}, {"weights", "w"}});
  std::string why;
  CHECK(train::differ_in_data_alone(run, entry({{"train", {{"lr", 1}}}}, {{"annotations", "b"}, {"weights", "w"}}), why));
  CHECK_FALSE(train::differ_in_data_alone(run, entry({{"train", {{"lr", 2}}}}, {{"annotations", "a"}, {"weights", "w"}}), why));
  CHECK(why == "the config differs at \"train.lr\"");
  CHECK_FALSE(train::differ_in_data_alone(run, entry(config, {{"annotations", "a"}, {"weights", "v"}}), why));
  CHECK(why == "the weights are other ones");
  CHECK_FALSE(train::differ_in_data_alone(run, entry(config, {{"annotations", "a"}}), why));
  CHECK_FALSE(train::differ_in_data_alone(entry(config, {{"annotations", "a"}}), run, why));
  CHECK(why == "it had fewer inputs");
}
