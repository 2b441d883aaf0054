#include "lib/base/config.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "tests/support/catch.h"

using namespace iuq;
using nlohmann::json;

namespace {

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("config: a misspelt key is an error that names the near one", "[base][error]") {
  const json object = json::parse(R"({"temprature": 0.07})");
  double temperature = 0.1;
  const std::string message = message_of([&] {
    ConfigReader read(object, "uniq");
    read("temperature", temperature);
    read.done();
  });
  REQUIRE(message == "config: unknown key \"uniq.temprature\"; did you mean \"temperature\"?");
}

TEST_CASE("config: an unknown key far from all others lists those there are", "[base][error]") {
  const json object = json::parse(R"({"norm": "batch"})");
  std::string name;
  const std::string message = message_of([&] {
    ConfigReader read(object, "backbone");
    read("name", name);
    read.done();
  });
  REQUIRE(message == "config: unknown key \"backbone.norm\"; known are name; null in a variant or --set takes a key away");
}

TEST_CASE("config: a value of the wrong type is an error that names place and value", "[base][error]") {
  const json object = json::parse(R"({"steps": "many"})");
  int64_t steps = 1;
  REQUIRE(message_of([&] { ConfigReader(object, "train")("steps", steps); }) ==
          "config: \"train.steps\" is \"many\", must be an integer");
  REQUIRE(steps == 1);
}

TEST_CASE("config: variants patch the file, --set goes on top", "[base]") {
  const std::string path = "config_test.json";
  std::ofstream(path) << R"({"train": {"steps": 10, "lr": 0.1}, "variants":
    {"long": {"train": {"steps": 99}}, "fast": {"train": {"lr": 1}}, "long+fast": {"train": {"steps": 50}}}})";
  const json plain = load_config(path, {}, {});
  REQUIRE(plain == json::parse(R"({"train": {"steps": 10, "lr": 0.1}})"));
  const json patched = load_config(path, {"long"}, {"train.lr=0.5", "model.name=solov2"});
  REQUIRE(patched == json::parse(R"({"train": {"steps": 99, "lr": 0.5}, "model": {"name": "solov2"}})"));
  REQUIRE(load_config(path, {}, {"train.lr=null", "model.name=null"}) ==
          json::parse(R"({"train": {"steps": 10}, "model": {}})"));
  REQUIRE(load_config(path, {"long", "fast"}, {}) == json::parse(R"({"train": {"steps": 50, "lr": 1}})"));
  REQUIRE(message_of([&] { load_config(path, {"lnog"}, {}); }) ==
          "config \"config_test.json\" has no variant \"lnog\"; it has: fast, long, long+fast");
  std::remove(path.c_str());
}

TEST_CASE("config: a name that is only the beginning of a field's is near it", "[base][error]") {
  const json object = json::parse(R"({"backbone_lr": 0.1})");
  double factor = 1, lr = 1;
  const std::string message = message_of([&] {
    ConfigReader read(object, "train");
    read("backbone_lr_factor", factor);
    read("lr", lr);
    read.done();
  });
  REQUIRE(message == "config: unknown key \"train.backbone_lr\"; did you mean \"backbone_lr_factor\"?");
}

TEST_CASE("config: another name replaces the section, but for the sections in it", "[base]") {
  const std::string path = "config_test.json";
  std::ofstream(path) << R"({
    "model": {"name": "a", "of_a": 1, "backbone": {"name": "x", "of_x": 1}},  // comments are for people
    "variants": {
      "b": {"model": {"name": "b"}}, "same": {"model": {"name": "a", "more": 2}}, "small": {"model": {"of_a": 0}},
      "b+small": {"model": {"name": "b", "of_b": 0}}, "y": {"model": {"backbone": {"name": "y"}}}}})";
  const auto model = [&](const std::vector<std::string>& variants, const std::vector<std::string>& settings) {
    return load_config(path, variants, settings)["model"];
  };
  const json x = json::parse(R"({"name": "x", "of_x": 1})");
  CHECK(model({"b"}, {}) == json({{"name", "b"}, {"backbone", x}}));
  CHECK(model({"same"}, {}) == json({{"name", "a"}, {"of_a", 1}, {"more", 2}, {"backbone", x}}));
  CHECK(model({"y"}, {}) == json({{"name", "a"}, {"of_a", 1}, {"backbone", {{"name", "y"}}}}));
  CHECK(model({"b", "y"}, {}) == json({{"name", "b"}, {"backbone", {{"name", "y"}}}}));
  // Whatever the order, "b+small" begins anew: its name is not the file's.
  const json small_b = {{"name", "b"}, {"of_b", 0}, {"backbone", x}};
  CHECK(model({"b", "small"}, {}) == small_b);
  CHECK(model({"small", "b"}, {}) == small_b);
  CHECK(model({"b", "same"}, {}) == json({{"name", "a"}, {"more", 2}, {"backbone", x}}));
  // Settings: a name that changes acts first, one that stays does nothing.
  CHECK(model({}, {"model.of_b=3", "model.name=b"}) == json({{"name", "b"}, {"of_b", 3}, {"backbone", x}}));
  CHECK(model({"b", "small"}, {"model.name=b"}) == small_b);
  CHECK(model({}, {"model.backbone.name=y"})["backbone"] == json({{"name", "y"}}));
  CHECK(message_of([&] { load_config(path, {}, {"model.of_a.name=b"}); }).find("goes through what is no section") !=
        std::string::npos);
  std::remove(path.c_str());
}
