// What the cursor accepts is JSON and means what nlohmann says; that it may give up on anything is its right.
#include "lib/io/json_cursor.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lib/base/rng.h"
#include "tests/support/catch.h"
#include "tests/support/normal.h"

namespace {

using iuq::Rng;
using iuq::io::JsonCursor;
using nlohmann::json;

json parse(const std::string& text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

uint64_t bits(double value) { return std::bit_cast<uint64_t>(value); }

// Whether the cursor has taken all of the text but space; then it must be JSON.
bool took_all(JsonCursor& cursor, const std::string& text) {
  const bool all = cursor.peek() == '\0' && cursor.at() == text.data() + text.size();
  if (all) REQUIRE_FALSE(parse(text).is_discarded());
  return all;
}

// Tries every reader on the text; returns how many accepted it.
int check_all(const std::string& text) {
  CAPTURE(text);
  const json want = parse(text);
  const auto fresh = [&] { return JsonCursor(text.data(), text.data() + text.size()); };
  int accepted = 0;
  std::string_view view;
  std::string scratch;
  int64_t integer = 0;
  double number = 0;
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  double four[4];
  if (auto c = fresh(); c.integer(integer) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.is_number_integer());
    REQUIRE(want.get<int64_t>() == integer);
  }
  if (auto c = fresh(); c.number(number) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.is_number());
    REQUIRE(bits(want.get<double>()) == bits(number));
  }
  if (auto c = fresh(); c.string(view) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.get<std::string>() == view);
  }
  if (auto c = fresh(); c.string_with_backslashes(view, scratch) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.get<std::string>() == view);
  }
  if (auto c = fresh(); c.numbers(numbers) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.get<std::vector<double>>() == numbers);
    for (size_t i = 0; i < numbers.size(); ++i) REQUIRE(bits(want[i].get<double>()) == bits(numbers[i]));
  }
  if (auto c = fresh(); c.integers(integers) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.get<std::vector<int64_t>>() == integers);
  }
  if (auto c = fresh(); c.numbers(four, 4) && took_all(c, text)) {
    ++accepted;
    REQUIRE(want.size() == 4);
    for (size_t i = 0; i < 4; ++i) REQUIRE(bits(want[i].get<double>()) == bits(four[i]));
  }
  if (auto c = fresh(); c.skip_value() && took_all(c, text)) ++accepted;
  return accepted;
}

std::string random_number(Rng& rng) {
  char text[80];
  switch (rng.below(5)) {
    case 0: return std::to_string(static_cast<int64_t>(rng.next() >> rng.below(64)));
    case 1: return std::to_string(rng.next() >> rng.below(64));
    case 2: std::snprintf(text, sizeof text, "%.*e", static_cast<int>(rng.below(20)), std::bit_cast<double>(rng.next() & ~(uint64_t{1} << 62))); break;
    case 3: std::snprintf(text, sizeof text, "%.*f", static_cast<int>(rng.below(25)), iuq::test::normal(rng) * 1000); break;
    default: std::snprintf(text, sizeof text, "%.17g", iuq::test::normal(rng)); break;
  }
  return text;
}

std::string random_value(Rng& rng, int depth) {
  const int64_t kind = rng.below(depth > 0 ? 8 : 5);
  std::string out;
  const auto space = [&] { out += std::vector<const char*>{"", "", " ", "\n\t", "\r "}[static_cast<size_t>(rng.below(5))]; };
  if (kind == 0) return std::vector<const char*>{"true", "false", "null", "-0", "-0.0"}[static_cast<size_t>(rng.below(5))];
  if (kind < 3) return random_number(rng);
  if (kind < 5) {
    out = "\"";
    for (int64_t n = rng.below(40); n > 0; --n) {
      const std::vector<const char*> odd = {"\\\\", "\\\"", "\\n", "\\u0041", "\xc3\xa9", "}, {"};
      out += rng.below(20) ? std::string(1, static_cast<char>('0' + rng.below(43))) : odd[static_cast<size_t>(rng.below(6))];
    }
    return out + "\"";
  }
  const bool object = kind == 5, numbers = kind == 6;
  out = object ? "{" : "[";
  for (int64_t n = numbers ? 4 : rng.below(5); n > 0; --n) {
    space();
    if (object) out += "\"k" + std::to_string(rng.below(9)) + "\"", space(), out += ":";
    space();
    out += numbers ? random_number(rng) : random_value(rng, depth - 1);
    space();
    if (n > 1) out += ",";
  }
  return out + (object ? "}" : "]");
}

}  // namespace

TEST_CASE("json_cursor: hard numbers are nlohmann's to the bit, or given up", "[io][golden]") {
  for (const char* text :
       {"0", "-0", "-0.0", "0.0", "00", "01", "-01", "1.", ".5", "-.5", "+1", "-", "--1", "1e5", "1E+5", "1e-5", "1e", "1e+",
        "1.5e400", "1e309", "1e-400", "4.9e-324", "5e-324", "2.4703282292062327e-324", "2.2250738585072011e-308",
        "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740992", "9007199254740993", "9007199254740993.0",
        "9007199254740992.5", "123456789012345678", "999999999999999999", "1234567890123456789", "9223372036854775808",
        "18446744073709551615", "18446744073709551616", "0.1234567890123456789", "0.12345678901234567890123456789",
        "3.0", "0.30000000000000004", "8.5e22", "1e22", "1e23", "0.000000000000000000000001", "1.0.0", "1-2", "NaN", "-Infinity",
        "nan", "inf", "0x10", "1_000", "1 2", "1,", "9999999999999999999.9", "-9223372036854775808"}) {
    check_all(text);
  }
  CHECK(check_all("-0") == 3);
  CHECK(check_all("0.5") == 2);
  CHECK(check_all(std::string(300, '1')) > 0);
  CHECK(check_all(std::string(400, '1')) == 0);
  CHECK(check_all("0." + std::string(400, '1')) > 0);
  CHECK(check_all("[" + std::string(400, '1') + "]") == 0);
}

TEST_CASE("json_cursor: decimals end at any other byte, wherever they lie in a block of eight", "[io][property]") {
  for (size_t decimals = 1; decimals < 26; ++decimals) {
    const std::string digits = "7." + std::string("12345678901234567890123456").substr(0, decimals);
    for (int c = 1; c < 256; ++c) {
      if ((c >= '0' && c <= '9') || c == 'e' || c == 'E') continue;
      const std::string text = digits + static_cast<char>(c) + "23456789";
      JsonCursor cursor(text.data(), text.data() + text.size());
      double value = 0;
      CAPTURE(text);
      REQUIRE(cursor.number(value));
      REQUIRE(cursor.at() == text.data() + digits.size());
      REQUIRE(bits(value) == bits(std::strtod(digits.c_str(), nullptr)));
    }
  }
}

TEST_CASE("json_cursor: digits beyond 53 bits round as they should, halfway or not", "[io][property]") {
  Rng rng(7, "json-cursor-digits");
  for (int i = 0; i < 100000; ++i) {
    // An odd number of 54 bits is halfway between two doubles, and so is it with zeros behind.
    uint64_t digits = rng.next() >> 10 | uint64_t{1} << 53 | 1;
    if (i % 2) digits = rng.next() >> (1 + rng.below(11));
    std::string text = std::to_string(digits);
    if (i % 4 == 0) text += ".0";
    if (i % 4 == 1) text.insert(static_cast<size_t>(1 + rng.below(static_cast<int64_t>(text.size()) - 1)), ".");
    if (i % 4 == 3) text = "0." + text;
    JsonCursor cursor(text.data(), text.data() + text.size());
    double value = 0;
    CAPTURE(text);
    REQUIRE(cursor.number(value));
    REQUIRE(bits(value) == bits(std::strtod(text.c_str(), nullptr)));
  }
}

TEST_CASE("json_cursor: strings end where they end, whatever stands beside a block of sixteen bytes", "[io][property]") {
  for (size_t length = 0; length < 70; ++length) {
    const std::string text = "\"" + std::string(length, 'a') + "\"";
    REQUIRE(check_all(text) == 3);
    for (size_t at = 1; at <= length; ++at) {
      for (const char c : {'"', '\\', '\x1f', '\0', '\x7f', '\x80', '\xff'}) {
        std::string odd = text;
        odd[at] = c;
        REQUIRE(check_all(odd) == (c == '\x7f' ? 3 : 0));
      }
      std::string escaped = text;
      escaped.insert(at, "\\\\");
      REQUIRE(check_all(escaped) == 1);
    }
  }
}

TEST_CASE("json_cursor: random values and damaged ones mean what nlohmann says, or are given up", "[io][property]") {
  Rng rng(1, "json-cursor");
  const std::string alphabet = "{}[]:,\"\\0123456789.-+eEtrufalsn \n\xc3\xa9\xff";
  int whole = 0, damaged = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string text = random_value(rng, 4);
    whole += check_all(text) > 0;
    for (int64_t n = 1 + rng.below(3); n > 0; --n) {
      const auto at = static_cast<size_t>(rng.below(static_cast<int64_t>(text.size()) + 1));
      const char c = alphabet[static_cast<size_t>(rng.below(static_cast<int64_t>(alphabet.size())))];
      if (at < text.size() && rng.below(2)) text[at] = c;
      else text.insert(at, 1, c);
    }
    damaged += check_all(text) > 0;
    check_all(text.substr(0, static_cast<size_t>(rng.below(static_cast<int64_t>(text.size()) + 1))));
  }
  CHECK(whole > 3000);
  CHECK(damaged > 300);
}

TEST_CASE("json_cursor: a value that is nested too deep is given up", "[io][property]") {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(check_all(nested(8)) > 0);
  CHECK(check_all(nested(9)) == 0);
  CHECK(check_all(std::string(100000, '[')) == 0);
}
