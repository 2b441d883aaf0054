#include "lib/io/coco_json.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "tests/support/catch.h"

namespace {

using iuq::io::stream_json_records;
using nlohmann::json;

/// A file that lives as long as the test.
struct TempFile {
  std::string path;
  explicit TempFile(const std::string& text) : path(iuq::cat("/tmp/iuq_coco_json_", getpid(), ".json")) {
    std::ofstream(path, std::ios::binary) << text;
  }
  ~TempFile() { std::remove(path.c_str()); }
};

struct Seen {
  std::vector<std::string> missing;
  std::vector<std::string> records;  // "section/index/record"
};

Seen stream(const std::string& text, const std::vector<std::string>& sections) {
  const TempFile file(text);
  Seen seen;
  seen.missing = stream_json_records(file.path, sections, [&](const std::string& s, int64_t i, json& r) {
    seen.records.push_back(iuq::cat(s, "/", i, "/", r.dump()));
  });
  return seen;
}

std::string error_of(const std::string& text, iuq::ErrorCode code = iuq::ErrorCode::kBadData) {
  try {
    stream(text, {"", "images", "annotations"});
  } catch (const iuq::Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  FAIL("no error for " << text.substr(0, 100));
  return "";
}

bool mentions(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("coco_json: records of wanted sections come in file order, the rest is skipped", "[io][property]") {
  const Seen seen = stream(R"({"info": {"images": [{"id": 9}], "a": [[1], {"b": [2]}]}, "images": [{"id": 1}, {"id": 2}],
    "licenses": [{"id": 3}], "n": 1.5, "annotations": [], "categories": [{"id": 4, "x": [[1, 2], {"y": null}, "z"]}]})",
                         {"categories", "images", "annotations", "other"});
  CHECK(seen.records == std::vector<std::string>{"images/0/{\"id\":1}", "images/1/{\"id\":2}",
                                                 "categories/0/{\"id\":4,\"x\":[[1,2],{\"y\":null},\"z\"]}"});
  CHECK(seen.missing == std::vector<std::string>{"other"});
}

TEST_CASE("coco_json: a top-level list is the section without a name", "[io][property]") {
  const Seen seen = stream(R"([{"image_id": 1, "score": 0.5}, {"image_id": 2, "a": {"b": {"c": true}}}])", {""});
  CHECK(seen.records ==
        std::vector<std::string>{"/0/{\"image_id\":1,\"score\":0.5}", "/1/{\"a\":{\"b\":{\"c\":true}},\"image_id\":2}"});
  CHECK(seen.missing.empty());
  CHECK(stream("[{\"id\": 1}]", {"images"}).missing == std::vector<std::string>{"images"});
  CHECK(stream("[]", {""}).records.empty());
}

TEST_CASE("coco_json: integers beyond 2^53 and doubles keep every bit", "[io][property]") {
  const TempFile file(R"([{"u": 18446744073709551615, "i": -9223372036854775808, "d": 0.1, "e": 5e-324}])");
  stream_json_records(file.path, {""}, [](const std::string&, int64_t, json& r) {
    CHECK(r["u"].get<uint64_t>() == std::numeric_limits<uint64_t>::max());
    CHECK(r["i"].get<int64_t>() == std::numeric_limits<int64_t>::min());
    CHECK(r["d"].get<double>() == 0.1);
    CHECK(r["e"].get<double>() == 5e-324);
  });
}

TEST_CASE("coco_json: a list longer than the read block arrives whole and equals the DOM parser's", "[io][property]") {
  json list = json::array();
  for (int i = 0; i < 20000; ++i) list.push_back({{"id", i}, {"text", std::string(static_cast<size_t>(i % 37), 'x')}});
  const TempFile file(json{{"annotations", list}}.dump());
  int64_t next = 0;
  stream_json_records(file.path, {"annotations"}, [&](const std::string&, int64_t i, json& r) {
    REQUIRE(i == next++);
    REQUIRE(r == list[static_cast<size_t>(i)]);
  });
  CHECK(next == 20000);
}

TEST_CASE("coco_json: broken files name the file and what is wrong", "[io][error]") {
  CHECK(mentions(error_of(R"({"images": [{"id": 1}, {"id")"), "truncated"));
  CHECK(mentions(error_of(""), "truncated"));
  CHECK(mentions(error_of("{\"images\": [\n{\"id\": x}]}"), "line 2, column"));
  CHECK(mentions(error_of(R"({"images": [{"area": -NaN}]})"), "not valid JSON"));
  CHECK(mentions(error_of(R"({"images": [{"area": 1e999}]})"), "1e999"));
  CHECK(mentions(error_of("{\"images\": [{\"name\": \"\xff\xfe\"}]}"), "UTF-8"));
  CHECK(mentions(error_of(R"([{"id": 1}] garbage)"), "not valid JSON"));
  CHECK(mentions(error_of(R"({"images": {"id": 1}})"), "section \"images\" that is not a list"));
  CHECK(mentions(error_of(R"({"images": 3})"), "section \"images\" that is not a list"));
  CHECK(mentions(error_of(R"({"images": [{"id": 1}, 7]})"), "section \"images\", record 1 is not an object"));
  CHECK(mentions(error_of(R"({"images": [[1]]})"), "section \"images\", record 0 is not an object"));
  CHECK(mentions(error_of(R"([1])"), "record 0 is not an object"));
  CHECK(mentions(error_of(R"({"images": [], "images": []})"), "\"images\" twice"));
  CHECK(mentions(error_of("{\"info\": " + std::string(100000, '[')), "nested deeper"));
  CHECK(mentions(error_of("{\"info\": " + std::string(100, '[') + std::string(100, ']') + "}"), "nested deeper"));
}

TEST_CASE("coco_json: every truncation of a file is an error", "[io][error]") {
  const std::string whole = R"({"images": [{"id": 1, "f": "a\u00e9"}], "annotations": [{"s": [[1.5, -2e3]], "b": true}]})";
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_THROWS_AS(stream(whole.substr(0, n), {"images", "annotations"}), iuq::Error);
  }
  CHECK(stream(whole, {"images", "annotations"}).records.size() == 2);
}

TEST_CASE("coco_json: a missing file is kNoInput, a folder kIo", "[io][error]") {
  const auto code_of = [](const std::string& path) {
    try {
      stream_json_records(path, {""}, [](const std::string&, int64_t, json&) {});
    } catch (const iuq::Error& e) {
      return e.code();
    }
    return iuq::ErrorCode::kInternal;
  };
  CHECK(code_of("/nonexistent/x.json") == iuq::ErrorCode::kNoInput);
  CHECK(code_of("/tmp") == iuq::ErrorCode::kIo);
}
