#include "lib/io/json_scanner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

constexpr int kMaxDepth = 64;
constexpr const char* kNotUtf8 = "a string is not valid UTF-8; save the file in that encoding";
constexpr std::array<double, 23> kPowersOfTen = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in_number(char c) { return is_digit(c) || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'; }

/// The parts of a number by RFC 8259's grammar.
struct Number {
  bool valid = false, negative = false, whole = true, has_exponent = false;
  uint64_t digits = 0;  // all digits before the exponent as one integer, if they are at most 19
  int64_t digit_count = 0, decimals = 0;
};

Number parse_number(const char* at, const char* end) {
  Number n;
  if (at != end && *at == '-') n.negative = true, ++at;
  const auto take_digits = [&] {
    int64_t count = 0;
    for (; at != end && is_digit(*at); ++at, ++count) n.digits = n.digits * 10 + static_cast<uint64_t>(*at - '0');
    n.digit_count += count;
    return count;
  };
  const bool zero = at != end && *at == '0';
  const int64_t whole_digits = take_digits();
  if (whole_digits == 0 || (zero && whole_digits > 1)) return n;
  if (at != end && *at == '.') {
    ++at;
    n.whole = false;
    n.decimals = take_digits();
    if (n.decimals == 0) return n;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    n.whole = false;
    n.has_exponent = true;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (at == end) return n;
    while (at != end && is_digit(*at)) ++at;
    if (!is_digit(at[-1])) return n;
  }
  n.valid = at == end;
  return n;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

}  // namespace

TextPosition TextPosition::after(std::string_view text) const {
  // Such files have few lines or one: memchr is many times as fast as looking at each byte.
  TextPosition position = *this;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const char* const found = static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
    if (!found) break;
    ++position.line;
    position.column = 1;
    at = found + 1;
  }
  position.column += end - at;
  return position;
}

void json_fail(const std::string& path, TextPosition position, const std::string& what) {
  throw Error(ErrorCode::kBadData,
              cat("\"", path, "\" is not valid JSON: line ", position.line, ", column ", position.column, ": ", what));
}

void json_unexpected(const std::string& path, TextPosition position, int next, const char* wanted) {
  if (next < 0) json_fail(path, position, cat("the file ends where ", wanted, " should be (truncated?)"));
  const std::string shown = next > 0x20 && next < 0x7f ? cat("'", static_cast<char>(next), "'") : cat("byte ", next);
  json_fail(path, position, cat(shown, " where ", wanted, " should be"));
}

JsonScanner::JsonScanner(const std::string& path, std::string_view text, TextPosition position, int depth)
    : path_(path), begin_(text.data()), next_(begin_), end_(begin_ + text.size()), position_(position), depth_(depth) {}

void JsonScanner::fail(const std::string& what) const {
  json_fail(path_, position_.after({begin_, static_cast<size_t>(next_ - begin_)}), what);
}

void JsonScanner::unexpected(const char* wanted) const {
  json_unexpected(path_, position_.after({begin_, static_cast<size_t>(next_ - begin_)}), peek(), wanted);
}

int JsonScanner::skip_space() {
  while (next_ != end_ && (*next_ == ' ' || *next_ == '\n' || *next_ == '\t' || *next_ == '\r')) ++next_;
  return peek();
}

void JsonScanner::scan(JsonEvents& events) {
  events_ = &events;
  value(skip_space(), depth_);
  if (skip_space() >= 0) unexpected("the end of the file");
}

void JsonScanner::value(int first, int depth) {
  if ((first == '{' || first == '[') && depth >= kMaxDepth) fail(cat("nested deeper than ", kMaxDepth, " levels"));
  switch (first) {
    case '{': return object(depth + 1);
    case '[': return array(depth + 1);
    case '"': read_string(); return events_->string(text_);
    case 't': expect("true"); return events_->boolean(true);
    case 'f': expect("false"); return events_->boolean(false);
    case 'n': expect("null"); return events_->null();
    case 'N': return not_finite("NaN", std::numeric_limits<double>::quiet_NaN());
    case 'I': return not_finite("Infinity", std::numeric_limits<double>::infinity());
    default: return number();
  }
}

void JsonScanner::object(int depth) {
  ++next_;
  events_->start_object();
  int c = skip_space();
  while (c != '}') {
    if (c != '"') unexpected("a key in quotes");
    read_string();
    events_->key(text_);
    if (skip_space() != ':') unexpected("':'");
    ++next_;
    value(skip_space(), depth);
    c = skip_space();
    if (c == '}') break;
    if (c != ',') unexpected("',' or '}'");
    ++next_;
    c = skip_space();
    if (c == '}') unexpected("a key in quotes");
  }
  ++next_;
  events_->end_object();
}

void JsonScanner::array(int depth) {
  ++next_;
  events_->start_array();
  int c = skip_space();
  while (c != ']') {
    value(c, depth);
    c = skip_space();
    if (c == ']') break;
    if (c != ',') unexpected("',' or ']'");
    ++next_;
    c = skip_space();
    if (c == ']') unexpected("a value");
  }
  ++next_;
  events_->end_array();
}

void JsonScanner::number() {
  const int first = peek();
  if (first != '-' && !(first >= '0' && first <= '9')) unexpected("a value");
  const char* const begin = next_;
  if (std::string_view(begin, static_cast<size_t>(end_ - begin)).starts_with("-I")) {
    return not_finite("-Infinity", -std::numeric_limits<double>::infinity());
  }
  const char* end = begin;
  while (end != end_ && in_number(*end)) ++end;
  const Number n = parse_number(begin, end);
  const auto shown = [&] { return std::string(begin, static_cast<size_t>(std::min<ptrdiff_t>(end - begin, 40))); };
  if (!n.valid) fail(cat("\"", shown(), "\" is not a number"));
  next_ = end;
  if (n.whole && n.digit_count <= 19) {
    if (!n.negative) return events_->unsigned_integer(n.digits);
    if (n.digits <= uint64_t{1} << 63) return events_->integer(static_cast<int64_t>(0 - n.digits));
  }
  if (n.whole && n.digit_count == 20 && !n.negative) {
    uint64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc()) return events_->unsigned_integer(value);
  }
  // Exact: both the digits and the power of ten are doubles, and a division rounds once.
  if (!n.has_exponent && n.digit_count <= 19 && n.digits <= uint64_t{1} << 53 && n.decimals <= 22) {
    const double value = static_cast<double>(n.digits) / kPowersOfTen[static_cast<size_t>(n.decimals)];
    return events_->number(n.negative ? -value : value);
  }
  double value = 0;
  const auto result = std::from_chars(begin, end, value);
  if (result.ec == std::errc::result_out_of_range) {
    value = std::strtod(std::string(begin, end).c_str(), nullptr);  // tells 1e999 from 1e-999, which is 0
    if (!std::isfinite(value)) fail(cat("the number ", shown(), " is too large"));
  }
  events_->number(value);
}

void JsonScanner::read_string() {
  ++next_;
  text_.clear();
  for (;;) {
    const char* const begin = next_;
    while (next_ != end_ && static_cast<unsigned char>(*next_) >= 0x20 && static_cast<unsigned char>(*next_) < 0x80 &&
           *next_ != '"' && *next_ != '\\') {
      ++next_;
    }
    text_.append(begin, next_);
    const int c = peek();
    if (c == '"') {
      ++next_;
      return;
    }
    if (c == '\\') {
      ++next_;
      escape();
    } else if (c >= 0x80) {
      utf8(c);
    } else if (c < 0x20) {
      unexpected("the end of a string");
    }
  }
}

void JsonScanner::escape() {
  constexpr const char* kNames = "\"\\/bfnrt";
  constexpr const char* kMeanings = "\"\\/\b\f\n\r\t";
  const int c = peek();
  if (c == 'u') {
    ++next_;
    uint32_t code = hex4();
    if (code >= 0xdc00 && code < 0xe000) fail("a string has half a surrogate pair");
    if (code >= 0xd800 && code < 0xdc00) {
      if (peek() != '\\') fail("a string has half a surrogate pair");
      ++next_;
      if (peek() != 'u') fail("a string has half a surrogate pair");
      ++next_;
      const uint32_t low = hex4();
      if (low < 0xdc00 || low >= 0xe000) fail("a string has half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return append_utf8(text_, code);
  }
  const char* const found = c > 0 ? std::strchr(kNames, c) : nullptr;
  if (!found) unexpected("an escape such as \\n");
  text_.push_back(kMeanings[found - kNames]);
  ++next_;
}

uint32_t JsonScanner::hex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++next_) {
    const int c = peek();
    const int lower = c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c;
    const int digit = lower >= '0' && lower <= '9' ? lower - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    if (digit < 0) unexpected("a hexadecimal digit");
    code = code << 4 | static_cast<uint32_t>(digit);
  }
  return code;
}

void JsonScanner::utf8(int lead) {
  // Well-formed sequences, Unicode table 3-7: the lead fixes the length and the range of the second byte.
  const bool possible = lead >= 0xc2 && lead <= 0xf4;
  const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  if (!possible) fail(kNotUtf8);
  text_.push_back(static_cast<char>(lead));
  ++next_;
  for (int i = 0; i < more; ++i, ++next_) {
    const int c = peek();
    const int low = i > 0 ? 0x80 : lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const int high = i > 0 ? 0xbf : lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (c < low || c > high) fail(kNotUtf8);
    text_.push_back(static_cast<char>(c));
  }
}

void JsonScanner::not_finite(const char* literal, double value) {
  const char* const begin = next_;
  expect(literal);
  if (!takes_nan_) {
    next_ = begin;
    fail(cat(literal, ", which --strict does not let pass"));
  }
  events_->number(value);
}

void JsonScanner::expect(const char* literal) {
  for (const char* at = literal; *at; ++at, ++next_) {
    if (peek() != static_cast<unsigned char>(*at)) unexpected("a value");
  }
}

}  // namespace iuq::io
