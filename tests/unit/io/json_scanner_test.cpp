#include "lib/io/json_scanner.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "tests/support/catch.h"
#include "tests/support/normal.h"

namespace {

using nlohmann::json;

/// Builds the tree the events describe.
class TreeBuilder final : public iuq::io::JsonEvents {
 public:
  void null() override { put(nullptr); }
  void boolean(bool value) override { put(value); }
  void integer(int64_t value) override { put(value); }
  void unsigned_integer(uint64_t value) override { put(value); }
  void number(double value) override { put(value); }
  void string(std::string& value) override { put(value); }
  void key(std::string& name) override { keys.push_back(name); }
  void start_object() override { open.push_back(json::object()); }
  void start_array() override { open.push_back(json::array()); }
  void end_object() override { close(); }
  void end_array() override { close(); }

  json root;

 private:
  void close() {
    json value = std::move(open.back());
    open.pop_back();
    put(std::move(value));
  }
  void put(json value) {
    if (open.empty()) {
      root = std::move(value);
    } else if (open.back().is_array()) {
      open.back().push_back(std::move(value));
    } else {
      open.back()[keys.back()] = std::move(value);
      keys.pop_back();
    }
  }
  std::vector<json> open;
  std::vector<std::string> keys;
};

/// The tree, or "discarded" when the scanner refuses the text.
json scan(const std::string& text) {
  TreeBuilder builder;
  bool ok = true;
  try {
    iuq::io::JsonScanner("test", text).scan(builder);
  } catch (const iuq::Error& e) {
    ok = false;
    CHECK(e.code() == iuq::ErrorCode::kBadData);
  }
  return ok ? builder.root : json(json::value_t::discarded);
}

/// nlohmann's answer is the oracle. Type and bits of every number must agree too.
bool agrees(const std::string& text) {
  const json want = json::parse(text, nullptr, /*allow_exceptions=*/false), got = scan(text);
  if (want.is_discarded() || got.is_discarded()) return want.is_discarded() == got.is_discarded();
  return want == got && want.type() == got.type() && want.dump() == got.dump();
}

}  // namespace

TEST_CASE("json_scanner: hard values are read as the general parser reads them", "[io][golden]") {
  for (const char* text :
       {"0", "-0", "-0.0", "00", "01", "1.", ".5", "1.5e", "1e+", "1e5", "1E-5", "-", "+1", "1.0.0", "1-2", "123456789012345678",
        "9223372036854775807", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "99999999999999999999", "123456789012345678901234567890", "0.1", "1e308", "1e309", "-1e309",
        "1e-400", "4.9e-324", "2.2250738585072011e-308", "9007199254740993", "9007199254740993.0", "9007199254740992.5",
        "0.3000000000000000444", "1.7976931348623157e308", "0.00000000000000000000000001", "8.5e22", "1e23",
        "3.14159265358979323846264338327950288", "[1,]", "[,1]", "[1 2]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{\"a\":}", "[",
        "]", "{", "}", "[}", "", " ", "\n[\t1\r]\n ", "\v1", "true", "tru", "truee", "null", "nul", "false", "True", "\"", "\"a", "\"\\\"", "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000\"", "\"\\ud83d\"", "\"\\ude00\"",
        "\"\\ud83d\\u0041\"", "\"\\u12g4\"", "\"\\x\"", "\"\\/\\b\\f\\n\\r\\t\\\\\"", "\"\x1f\"", "\"\x7f\"", "\"\n\"",
        "\"\xc3\xa9\"", "\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xe0\x80\x80\"", "\"\xe0\xa0\x80\"", "\"\xed\xa0\x80\"",
        "\"\xed\x9f\xbf\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"", "\"\x80\"", "\"\xe2\x82\"", "\"\xe2\"", "1 2", "[] []",
        "{\"a\":1,\"a\":2}", "[[],{},[{}]]"}) {
    CAPTURE(text);
    CHECK(agrees(text));
  }
  CHECK(agrees("0." + std::string(400, '1')));
  CHECK(agrees(std::string(400, '1')));
  CHECK(agrees(std::string(300, '1') + ".5e-299"));
}

TEST_CASE("json_scanner: what Python writes of numbers that are not finite is read", "[io][property]") {
  CHECK(std::isnan(scan("NaN").get<double>()));
  CHECK(scan("[1,Infinity]")[1].get<double>() == std::numeric_limits<double>::infinity());
  CHECK(scan("{\"a\":-Infinity }")["a"].get<double>() == -std::numeric_limits<double>::infinity());
  for (const char* text : {"nan", "NAN", "-NaN", "+Infinity", "Inf", "-I", "Infinity1", "N", "[NaN NaN]"}) {
    CAPTURE(text);
    CHECK(scan(text).is_discarded());
  }
}

TEST_CASE("json_scanner: doubles are correctly rounded", "[io][property]") {
  iuq::Rng rng(1, "json-doubles");
  std::string text = "[0";
  for (int i = 0; i < 20000; ++i) {
    char number[64];
    const double scale = std::pow(10.0, static_cast<double>(rng.below(40) - 20));
    std::snprintf(number, sizeof number, rng.below(2) ? ",%.*f" : ",%.*e", static_cast<int>(rng.below(19)), iuq::test::normal(rng) * scale);
    text += number;
  }
  CHECK(agrees(text + "]"));
}

TEST_CASE("json_scanner: damaged documents are accepted or refused as by the general parser", "[io][property]") {
  const std::string whole = R"({"images":[{"id":1,"f":"a\u00e9\n","h":[1.5,-2e3,0.25]}],"b":true,"n":[null,{}],"z":-12.50})";
  const std::string alphabet = "{}[]:,\"\\0123456789.-+eEtrufalsn \n\xc3\xa9\xff";
  iuq::Rng rng(2, "json-damage");
  int refused = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string text = whole;
    for (int64_t k = 1 + rng.below(3); k > 0; --k) {
      const auto at = static_cast<size_t>(rng.below(static_cast<int64_t>(text.size())));
      const char c = alphabet[static_cast<size_t>(rng.below(static_cast<int64_t>(alphabet.size())))];
      if (rng.below(3) == 0) text.erase(at, 1);
      else if (rng.below(2) == 0) text.insert(at, 1, c);
      else text[at] = c;
    }
    CAPTURE(text);
    REQUIRE(agrees(text));
    refused += json::parse(text, nullptr, false).is_discarded();
  }
  CHECK(refused > 1000);
  CHECK(refused < 5900);
}
