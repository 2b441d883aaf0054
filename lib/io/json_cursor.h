#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace iuq::io {

/// Reads the plain forms of JSON at the speed of memory. Every function returns false when what comes next is not the
/// plain form of what was asked for: an escape, a byte beyond ASCII, a nested value, the end of the text, an error. It
/// accepts nothing that is not JSON, so a record it read needs no second look; one it gave up is read again by
/// JsonScanner, which knows every form and has the words for what is wrong.
///
/// The text must have a NUL behind its end, as a std::string has.
class JsonCursor {
 public:
  JsonCursor(const char* at, const char* end) : at_(at), end_(end) {}

  const char* at() const { return at_; }

  char peek() {
    while (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t') ++at_;
    return *at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  /// Without the quotes; a view into the text.
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    const char* const begin = at_;
    skip_plain();
    if (*at_ != '"') return false;
    out = {begin, static_cast<size_t>(at_ - begin)};
    ++at_;
    return true;
  }

  /// The same, but backslashes may be escaped, as they are in compressed counts; then the view is into `scratch`.
  bool string_with_backslashes(std::string_view& out, std::string& scratch);

  /// The name of the next member, and its colon.
  bool key(std::string_view& out) { return string(out) && take(':'); }

  /// At most 18 digits, no point.
  bool integer(int64_t& out) {
    peek();
    const bool negative = *at_ == '-';
    at_ += negative;
    const char* const begin = at_;
    uint64_t value = 0;
    while (is_digit(*at_)) value = value * 10 + static_cast<uint64_t>(*at_++ - '0');
    const auto digits = at_ - begin;
    if (digits == 0 || digits > 18 || (*begin == '0' && digits > 1) || *at_ == '.' || *at_ == 'e' || *at_ == 'E') return false;
    out = negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
    return true;
  }

  /// Correctly rounded, always finite.
  bool number(double& out);

  /// A list of numbers, which are added to `out`.
  bool numbers(std::vector<double>& out);
  bool integers(std::vector<int64_t>& out);
  /// A list of exactly `count` numbers.
  bool numbers(double* out, size_t count);

  /// Any value of plain ones, to `depth` levels.
  bool skip_value(int depth = 8);

 private:
  bool skip_number();
  uint64_t decimals(uint64_t value);  // appends the digits that come next to those of `value`; wraps beyond 64 bits
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  void skip_plain();  // to the quote, backslash, control or non-ASCII byte that comes next

  const char* at_;
  const char* end_;
};

}  // namespace iuq::io
