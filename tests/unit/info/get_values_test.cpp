#include "lib/info/get_values.h"

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using info::get_values;
using Values = std::vector<std::string>;

namespace {

struct JsonFile {
  explicit JsonFile(const std::string& text, const std::string& name = "a.json") : path(folder.write(name, text)) {}
  test::TempFolder folder;
  std::string path;
};

std::string refusal(const JsonFile& file, const std::string& name) {
  const std::string what = test::error_of([&] { get_values(file.path, {name}); }), opening = "\"" + file.path + "\": ";
  REQUIRE(what.starts_with(opening));
  return what.substr(opening.size());
}

}  // namespace

TEST_CASE("get: numbers come as the file writes them", "[info][property]") {
  const JsonFile file(R"({"a": [1, -2.5e-3, 0.10, -0, 1E5, 18446744073709551615, 123456789012345678901234567890, -7, 1.0]})");
  CHECK(get_values(file.path, {"a.0", "a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7", "a.8"}) ==
        Values{"1", "-2.5e-3", "0.10", "-0", "1E5", "18446744073709551615", "123456789012345678901234567890", "-7", "1.0"});
}

TEST_CASE("get: names go through objects and lists, in any order and as often as wanted", "[info][property]") {
  const JsonFile file(R"( {"x": 1, "per": [{"AP": 0.5}, [], {"AP": [3, {"y": 4}]}], "c \" : {": "x, 7", "d": {"e": true, "f": null,
                        "g": "\u00e9\n\"q\""}, "AP": 6, "x2": {"AP": 7}} )");
  CHECK(get_values(file.path, {"x2.AP", "AP", "per.2.AP.1.y", "per.0.AP", "AP", "d.e", "d.f", "c \" : {", "d.g"}) ==
        Values{"7", "6", "4", "0.5", "6", "true", "null", "x, 7", "é\n\"q\""});
}

TEST_CASE("get: a line of JSON Lines is the first part of a name", "[info]") {
  const JsonFile file("{\"loss\": 3.0}\n{\"loss\": 2.50}\n", "metrics.jsonl");
  CHECK(get_values(file.path, {"1.loss", "0.loss"}) == Values{"2.50", "3.0"});
  CHECK(refusal(file, "2.loss") == "there is no \"2.loss\"; the file has 0, 1");
}

TEST_CASE("get: what is not there is refused with what is", "[info][error]") {
  const JsonFile file(R"({"stats": {"AP": 0.5, "AP50": 0.7}, "per": [1, 2], "none": {}, "n": 3})");
  CHECK(refusal(file, "stats.APr") == "there is no \"stats.APr\"; \"stats\" has AP, AP50");
  CHECK(refusal(file, "a.b.c") == "there is no \"a.b.c\"; the file has stats, per, none, n");
  CHECK(refusal(file, "per.2") == "there is no \"per.2\"; \"per\" has 0, 1");
  CHECK(refusal(file, "n.x") == "there is no \"n.x\"; \"n\" is a single value");
  CHECK(refusal(file, "stats") == "\"stats\" is no single value, it has AP, AP50");
  CHECK(refusal(file, "none") == "\"none\" is no single value, it has nothing");
  test::error_of([&] { get_values(file.folder / "absent.json", {"a"}); }, ErrorCode::kNoInput);
}

TEST_CASE("get: a long list of keys is cut", "[info][error]") {
  std::string text = "[0";
  for (int i = 1; i < 1000; ++i) text += ",0";
  const std::string what = refusal(JsonFile(text + "]"), "x");
  CHECK(what.size() < 300);
  CHECK(what.ends_with(" ..."));
}

TEST_CASE("get: a file that is no JSON to its end is refused, also after the value", "[info][error]") {
  for (const char* text : {"", "{\"a\": 1", "{\"a\": 1}}", "{\"a\": 1} x", "{\"a\": 1, \"b\": nan}", "\x89HDF"}) {
    INFO(text);
    CHECK(refusal(JsonFile(text), "a").find("parse error") != std::string::npos);
  }
}
