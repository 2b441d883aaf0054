#include "lib/base/config_fields.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "tests/support/catch.h"

using namespace iuq;
using nlohmann::json;

namespace {

struct Wheel {
  std::string name = "wood";
  int64_t spokes = 8;

  static constexpr const char* kSection = "cart.wheel";
  ConfigFields fields() {
    return {{"name", &name, "what it is made of", Range::one_of({"wood", "iron", "rubber"})},
            {"spokes", &spokes, "around the hub; iron has 12", Range::closed(3, 64)}};
  }
  void check() const { check_ranges(*this); }
  void take_name(const std::string& made_of) {
    if (made_of == "iron") spokes = 12;
  }
};

struct Cart {
  bool open = true;
  double load = 0.5;
  std::vector<double> axles = {1, 2};
  Wheel wheel;

  static constexpr const char* kSection = "cart";
  ConfigFields fields() {
    return {{"name", "cart", "what moves"},
            {"open", &open, "without a roof"},
            {"load", &load, "share of what it can carry, never all of it, for the road is long and steep and wheels break easily", Range::right_open(0, 1)},
            {"axles", &axles, "where they are, in metres", Range::above(0).items(2)},
            {"wheel", inner_section(wheel), "each of the four"}};
  }
  void check() const {
    check_ranges(*this);
    check_config(axles[1] > axles[0], "cart.axles", axles, "ascending");
  }
};

std::string refusal(const char* text) {
  try {
    json::parse(text).get<Cart>();
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::kConfig);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("config fields: the list reads and writes a section and the one in it", "[base]") {
  const json whole = Cart();
  REQUIRE(whole.dump() == R"({"axles":[1.0,2.0],"load":0.5,"name":"cart","open":true,"wheel":{"name":"wood","spokes":8}})");
  const json changed = json::parse(R"({"axles": [3, 5], "wheel": {"name": "rubber"}})").get<Cart>();
  REQUIRE(changed.dump() == R"({"axles":[3.0,5.0],"load":0.5,"name":"cart","open":true,"wheel":{"name":"rubber","spokes":8}})");
  REQUIRE(json(changed.get<Cart>()) == changed);
}

TEST_CASE("config fields: what is wrong is named with place, value and range", "[base][error]") {
  CHECK(refusal(R"({"lod": 0.5})") == "config: unknown key \"cart.lod\"; did you mean \"load\"?");
  CHECK(refusal(R"({"open": 1})") == "config: \"cart.open\" is 1, must be true or false");
  CHECK(refusal(R"({"name": "boat"})") == "config: \"cart.name\" is \"boat\", must be \"cart\"");
  CHECK(refusal(R"({"load": 1})") == "config: \"cart.load\" is 1.0, must be in [0, 1)");
  CHECK(refusal(R"({"axles": [1]})") == "config: \"cart.axles\" is [1.0], must be a list of 2");
  CHECK(refusal(R"({"axles": [0, 1]})") == "config: \"cart.axles\" is 0.0, must be > 0");
  CHECK(refusal(R"({"axles": [2, 1]})") == "config: \"cart.axles\" is [2.0,1.0], must be ascending");
  CHECK(refusal(R"({"wheel": {"spokes": 2}})") == "config: \"cart.wheel.spokes\" is 2, must be in 3..64");
  CHECK(refusal(R"({"wheel": {"name": "air"}})") ==
        "config: \"cart.wheel.name\" is \"air\", must be \"wood\", \"iron\" or \"rubber\"");
}

TEST_CASE("config range: bounds belong to it or not, and the text says so", "[base]") {
  CHECK((Range::closed(0, 1).allows(0.0) && Range::closed(0, 1).allows(1.0) && !Range::closed(0, 1).allows(1.5)));
  CHECK((!Range::left_open(0, 1).allows(0.0) && Range::left_open(0, 1).allows(1.0)));
  CHECK((Range::right_open(0, 1).allows(0.0) && !Range::right_open(0, 1).allows(1.0)));
  CHECK((!Range::open(0, 1).allows(0.0) && !Range::open(0, 1).allows(1.0) && Range::open(0, 1).allows(0.5)));
  CHECK((Range::at_least(1).allows(1.0) && !Range::above(1).allows(1.0) && !Range::at_least(1).allows(0.0)));
  CHECK(!Range::closed(0, 1).allows(std::numeric_limits<double>::quiet_NaN()));
  CHECK(Range::left_open(0, 0.7).text(false) == "in (0, 0.7]");
  CHECK(Range::closed(1, 1000000).text(true) == "in 1..1000000");
  CHECK(Range::at_least(1).text(true) == ">= 1");
  CHECK(Range::above(0).text(false) == "> 0");
  CHECK(Range().text(false).empty());
}

TEST_CASE("config fields: an explained config shows meaning, range and default, and is a config", "[base][golden]") {
  Cart cart;
  cart.load = 0.25;
  cart.wheel = {"iron", 10};
  const json config = {{"seed", 7}, {"cart", cart}};
  const std::string text = explain_config(config, {{"seed", "of chance", "", {}}, describe_section("cart", cart)});
  REQUIRE(text == R"({
  // of chance
  "seed": 7,
  "cart": {
    // what moves
    "name": "cart",
    // without a roof (default true)
    "open": true,
    // share of what it can carry, never all of it, for the road is long and steep and wheels break easily
    // (in [0, 1); default 0.5)
    "load": 0.25,
    // where they are, in metres (2 values, each > 0; default [1.0, 2.0])
    "axles": [1.0, 2.0],
    // each of the four
    "wheel": {
      // what it is made of ("wood", "iron" or "rubber"; default "iron")
      "name": "iron",
      // around the hub; iron has 12 (in 3..64; default 12)
      "spokes": 10
    }
  }
}
)");
  const std::string path = "config_fields_test.json";
  std::ofstream(path) << text;
  REQUIRE(load_config(path, {}, {}) == config);
  std::remove(path.c_str());
}
