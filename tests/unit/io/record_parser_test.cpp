#include "lib/io/record_parser.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/io/record_pieces.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace {

using iuq::Rng;
using iuq::io::RecordParser;
using nlohmann::json;
using Sections = std::vector<std::string>;

/// Writes down what it gets. Records whose first member is "plain" are read by the cursor.
class Notes final : public iuq::io::RecordSink {
 public:
  bool plain(size_t section, int64_t index, iuq::io::JsonCursor& cursor) override {
    const char* const begin = cursor.at();
    std::string_view key;
    if (!cursor.take('{') || !cursor.key(key) || key != "plain" || !cursor.skip_value()) return false;
    while (cursor.take(',')) {
      if (!cursor.key(key) || !cursor.skip_value()) return false;
    }
    if (!cursor.take('}')) return false;
    note(section, index, json::parse(begin, cursor.at()));
    return true;
  }
  void general(size_t section, int64_t index, json& record) override { note(section, index, record); }
  void note(size_t section, int64_t index, const json& record) {
    seen.push_back(iuq::cat(section, "/", index, "/", record.dump()));
  }

  std::vector<std::string> seen;
};

struct Result {
  std::vector<std::string> seen;
  Sections missing;
  std::string error;
  bool operator==(const Result&) const = default;
};

std::string to_text(const Result& result) {
  std::string text = result.error;
  for (const auto& part : result.seen) text += "\n" + part;
  return text;
}

Result read(const std::vector<std::string>& pieces, const Sections& sections) {
  Notes notes;
  Result result;
  RecordParser parser("file", sections, notes);
  try {
    for (const std::string& piece : pieces) parser.feed(piece);
    result.missing = parser.finish();
  } catch (const iuq::Error& e) {
    CHECK(e.code() == iuq::ErrorCode::kBadData);
    result.error = e.what();
  }
  result.seen = std::move(notes.seen);
  return result;
}

std::vector<std::string> cut_at_random(Rng& rng, const std::string& text) {
  std::vector<std::string> pieces;
  const int64_t most = 1 + rng.below(30);
  for (size_t at = 0; at < text.size(); at += pieces.back().size()) {
    pieces.push_back(text.substr(at, static_cast<size_t>(rng.below(most + 1))));
  }
  return pieces;
}

const Sections kLists = {"images", "", "annotations"};

void check_cuts(Rng& rng, const std::string& text) {
  const Result whole = read({text}, kLists);
  for (size_t n = 0; n <= text.size(); ++n) {
    const Result cut = read({text.substr(0, n), text.substr(n)}, kLists);
    CAPTURE(text, n, to_text(whole), to_text(cut));
    REQUIRE((cut == whole));
  }
  for (int i = 0; i < 10; ++i) {
    const Result pieces = read(cut_at_random(rng, text), kLists);
    CAPTURE(text, to_text(whole), to_text(pieces));
    REQUIRE((pieces == whole));
  }
}

const std::vector<std::string>& documents() {
  static const std::vector<std::string> all = {
      R"([{"plain": 1, "b": [1, 2.5e3]}, {"x": "}, {"}, {"plain": "a\\b"}, {"n": [{"a": 1}, {"b": 2}]}])",
      "\n{ \"info\": {\"images\": [{\"id\": 9}]}, \"images\":\n[{\"plain\":1},{\"id\" : \"\\u00e9\\\"}, {\"}\n] , \"n\" : 1.5e1 ,"
      "\"licenses\": [1, \"],[\", [2, {}], {\"a\": null}, true], \"annotations\": [ ], \"t\":true}\n",
      "\xef\xbb\xbf[{\"plain\": true},\n{\"y\": null}]",
      R"({"im\u0061ges": [{"id": 1}], "annotations": [{"plain": -0}], "empty": [], "": 3})",
      "[]", "{}", "", " ", "3", "[[1]]", "[1]", "[{}, {}, 7]", "[{},]", "[,{}]", "[{} {}]", "[{}]]", "{\"a\" 1}", "{\"a\": 1,}",
      R"({"images": {}, "annotations": []})", R"({"images": [], "images": []})", R"({"images": [{"id": NaN}, {"x": -Infinity}, {"id": Nan}]})",
      R"({"images": [{"id": tru}]})", R"([{"a": 1e999}])", R"([{"a": "\x"}])", "[{\"a\": \"\xff\"}]", "[{\"a\": \"line\nbreak\"}]",
      R"({"info": [1, 2,]})", R"({"info": [1 2]})", R"({"info": [,]})", R"({"info": [[[]]})", "\xef\xbb", "\xef\xbb\xbf\xef\xbb\xbf[]",
      " \xef\xbb\xbf[]"};
  return all;
}

}  // namespace

TEST_CASE("record_parser: a file cut anywhere gives the same records and the same error", "[io][property]") {
  Rng rng(1, "record-cuts");
  for (const std::string& text : documents()) check_cuts(rng, text);
  CHECK(read({documents()[0]}, kLists).seen.size() == 4);
  CHECK(read({documents()[1]}, kLists).seen.size() == 2);
  CHECK(read({documents()[2]}, kLists).seen.size() == 2);
  CHECK(read({documents()[3]}, kLists).seen.size() == 2);
}

TEST_CASE("record_parser: a damaged file cut anywhere gives the same records and the same error", "[io][property]") {
  Rng rng(2, "record-damage");
  const std::string alphabet = "{}[]:,\"\\01.-etn \n\xff";
  int broken = 0, tried = 0;
  for (int i = 0; i < 150; ++i) {
    std::string text = documents()[static_cast<size_t>(rng.below(4))];
    for (int64_t n = 1 + rng.below(2); n > 0; --n) {
      const auto at = static_cast<size_t>(rng.below(static_cast<int64_t>(text.size())));
      const char c = alphabet[static_cast<size_t>(rng.below(static_cast<int64_t>(alphabet.size())))];
      if (rng.below(3) == 0) text.erase(at, 1);
      else if (rng.below(2)) text.insert(at, 1, c);
      else text[at] = c;
    }
    check_cuts(rng, text);
    const Result whole = read({text}, kLists);
    const json tree = json::parse(text, nullptr, false);
    if (whole.error.empty()) REQUIRE_FALSE(tree.is_discarded());
    broken += !whole.error.empty();
    ++tried;
  }
  CHECK(broken > 50);
  CHECK(broken < tried);
}

TEST_CASE("record_parser: errors say line and column in the file, not in the piece", "[io][error]") {
  CHECK(read({"[{\"a\": 1},\n", "{\"b\": 2},\n {\"c\"", ": x}]"}, {""}).error.find("line 3, column 8") != std::string::npos);
  CHECK(read({"{\"info\": [1,\n2,", "\n  !]}"}, {"images"}).error.find("line 3, column 3") != std::string::npos);
  CHECK(read({"[{}", ",\n{},", "5]"}, {""}).error.find("record 2 is not an object") != std::string::npos);
}

TEST_CASE("record_parser: a parser that begins within the list and one that skips make one that reads all", "[io][property]") {
  const std::vector<std::string> pieces = {"[{\"plain\": 1}, ", "{\"a\": 2},\n{\"plain\": 3},\n ", "{\"b\": 4}, {\"c\": oops}]"};
  Notes ahead, master_notes;
  RecordParser helper("file", {""}, ahead), master("file", {""}, master_notes);
  helper.begin_within(0);
  CHECK(helper.section_within() == 0);
  helper.feed(pieces[1]);
  CHECK(helper.section_within() == 0);
  CHECK(ahead.seen == std::vector<std::string>{"0/0/{\"a\":2}", "0/1/{\"plain\":3}"});

  CHECK_FALSE(master.section_within().has_value());
  master.feed(pieces[0]);
  CHECK(master.section_within() == 0);
  master.skip(pieces[1], 2);
  CHECK(master.section_within() == 0);
  std::string error;
  try {
    master.feed(pieces[2]);
  } catch (const iuq::Error& e) {
    error = e.what();
  }
  CHECK(master_notes.seen == std::vector<std::string>{"0/0/{\"plain\":1}", "0/3/{\"b\":4}"});
  CHECK(error == read(pieces, {""}).error);
  CHECK(error.find("line 3, column 18") != std::string::npos);
}

TEST_CASE("record_parser: what ends a piece elsewhere than behind a comma of the list is not within it", "[io][property]") {
  for (const char* piece : {"{\"a\": 1}", "{\"a\": 1}]", "{\"a\": \"}, ", "{\"a\": [{}, ", "{\"a\": 1}, {", "{\"a\": 1},{\"b\"", ""}) {
    CAPTURE(piece);
    Notes notes;
    RecordParser parser("file", {""}, notes);
    parser.begin_within(0);
    parser.feed(piece);
    CHECK((parser.section_within() == 0) == (*piece == '\0'));
  }
  Notes notes;
  RecordParser closing("file", {""}, notes);
  closing.begin_within(0);
  CHECK_THROWS_AS(closing.feed("]"), iuq::Error);  // a comma came before
}

TEST_CASE("record_parser: pieces of a file, cut in a string or a nested list, are read as the whole", "[io][property]") {
  const iuq::test::TempFolder folder;
  json list = json::array();
  for (int i = 0; i < 60; ++i) {
    list.push_back({{"id", i}, {"text", "a}, {\"id\": 5}, {" + std::string(static_cast<size_t>(i % 23), 'x')}});
    list.push_back({{"nested", json::array({{{"id", 1}}, {{"id", 2}}, {{"id", 3}}})}});
  }
  for (const std::string& text : {list.dump(), list.dump(1), json{{"info", list}, {"images", list}}.dump()}) {
    iuq::test::write_bytes(folder / "file", text);
    const Result whole = read({text}, kLists);
    REQUIRE(whole.seen.size() == list.size());
    for (const size_t block : {1, 2, 7, 30, 100, 1000, 100000}) {
      CAPTURE(block);
      iuq::io::RecordPieces source(folder / "file", block);
      std::vector<std::string> pieces;
      std::string piece, all;
      for (size_t number = 0; source.next(piece, number); all += piece) {
        REQUIRE(number == pieces.size());
        pieces.push_back(piece);
      }
      REQUIRE(all == text);
      REQUIRE((read(pieces, kLists) == whole));
    }
  }
}

TEST_CASE("record_parser: a record far larger than a piece is read in time linear in its size", "[io][property]") {
  std::string text = "[{\"a\": [1";
  for (int i = 0; i < 2000000; ++i) text += ", 12";
  text += "]}, {\"b\": \"" + std::string(3000000, 'x') + "\"}]";
  std::vector<std::string> pieces;
  for (size_t at = 0; at < text.size(); at += 5000) pieces.push_back(text.substr(at, 5000));
  const Result result = read(pieces, {""});
  CHECK(result.error.empty());
  REQUIRE(result.seen.size() == 2);
  CHECK(result.seen[0].size() > 6000000);
}

TEST_CASE("record_parser: many odd records in one piece take time linear in its size", "[io][property]") {
  std::string text = "[";
  for (int i = 0; i < 400000; ++i) text += "{\"a\": 1.5}, ";
  const auto began = std::chrono::steady_clock::now();
  CHECK(read({text + "{}]"}, {""}).seen.size() == 400001);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(60));  // minutes when lines are counted anew
}
