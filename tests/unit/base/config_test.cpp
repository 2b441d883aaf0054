#include "lib/base/config.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"

using namespace iuq;
using nlohmann::json;

namespace {

}  // namespace

TEST_CASE("config: a misspelt key is an error that names the near one", "[base][error]") {
  const json object = json::parse(R"({"temprature": 0.07})");
  double temperature = 0.1;
  const std::string message = iuq::test::message_of([&] {
    ConfigReader read(object, "uniq");
    read("temperature", temperature);
    read.done();
  });
  REQUIRE(message == "config: unknown key \"uniq.temprature\"; did you mean \"temperature\"?");
}

TEST_CASE("config: an unknown key far from all others lists those there are", "[base][error]") {
  const json object = json::parse(R"({"norm": "batch"})");
  std::string name;
  const std::string message = iuq::test::message_of([&] {
    ConfigReader read(object, "backbone");
    read("name", name);
    read.done();
  });
  REQUIRE(message == "config: unknown key \"backbone.norm\"; known are name; null in a variant or --set takes a key away");
}

TEST_CASE("config: a value of the wrong type is an error that names place and value", "[base][error]") {
  const json object = json::parse(R"({"steps": "many"})");
  int64_t steps = 1;
  REQUIRE(iuq::test::message_of([&] { ConfigReader(object, "train")("steps", steps); }) ==
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
  REQUIRE(iuq::test::message_of([&] { load_config(path, {"lnog"}, {}); }) ==
          "config \"config_test.json\" has no variant \"lnog\"; it has: fast, long, long+fast");
  std::remove(path.c_str());
}
