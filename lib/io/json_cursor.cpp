#include "lib/io/json_cursor.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <limits>

namespace iuq::io {
namespace {

constexpr std::array<double, 23> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kExact = uint64_t{1} << 53;

constexpr std::ptrdiff_t kBlock = 8;

bool is_all_digits(uint64_t block) {
  return ((block + 0x0606060606060606) & block & 0xf0f0f0f0f0f0f0f0) == 0x3030303030303030;
}

// The number that eight digits make, the first of them in the lowest byte: neighbours are joined to pairs, fours and the eight.
uint64_t value_of(uint64_t digits) {
  digits -= 0x3030303030303030;
  digits = digits * 10 + (digits >> 8);
  constexpr uint64_t kPairs = 0x000000ff000000ff;
  return ((digits & kPairs) * (100 + (uint64_t{1000000} << 32)) + (digits >> 16 & kPairs) * (1 + (uint64_t{10000} << 32))) >> 32;
}

// digits / 10^decimals, correctly rounded; false where that cannot be told. A long double of 64 bits holds both numbers, and
// its quotient rounds to the same double as the true one unless it is halfway between two.
bool divide(uint64_t digits, size_t decimals, double& out) {
  if (digits <= kExact) {  // both are doubles
    out = static_cast<double>(digits) / kPowers[decimals];
    return true;
  }
#ifdef __x86_64__
  static_assert(std::numeric_limits<long double>::digits == 64);
  if (digits > INT64_MAX) return false;
  const long double quotient = static_cast<long double>(static_cast<int64_t>(digits)) / kPowers[decimals];
  uint64_t bits;
  std::memcpy(&bits, &quotient, sizeof bits);
  constexpr uint64_t kBeyondDouble = 0x7ff, kHalf = 0x400;
  out = static_cast<double>(quotient);
  return (bits & kBeyondDouble) != kHalf;
#else
  return false;
#endif
}

bool is_plain(char c) { return static_cast<signed char>(c) >= 0x20 && c != '"' && c != '\\'; }  // beyond ASCII is negative

}  // namespace

void JsonCursor::skip_plain() {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
  for (; end_ - at_ >= 16; at_ += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_));
    const __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)),
                                       _mm_cmplt_epi8(block, space));
    const auto mask = static_cast<uint32_t>(_mm_movemask_epi8(stops));
    if (mask != 0) {
      at_ += std::countr_zero(mask);
      return;
    }
  }
#endif
  while (is_plain(*at_)) ++at_;
}

bool JsonCursor::string_with_backslashes(std::string_view& out, std::string& scratch) {
  if (!take('"')) return false;
  const char* begin = at_;
  skip_plain();
  if (*at_ == '"') {
    out = {begin, static_cast<size_t>(at_ - begin)};
    ++at_;
    return true;
  }
  scratch.clear();
  while (*at_ == '\\' && at_[1] == '\\') {
    scratch.append(begin, at_ + 1);
    begin = at_ += 2;
    skip_plain();
  }
  if (*at_ != '"') return false;
  scratch.append(begin, at_);
  out = scratch;
  ++at_;
  return true;
}

// Scores and boxes come with up to 17 decimals, polygons with two.
uint64_t JsonCursor::decimals(uint64_t value) {
  if constexpr (std::endian::native == std::endian::little) {
    for (uint64_t block; end_ - at_ >= kBlock; at_ += kBlock) {
      std::memcpy(&block, at_, kBlock);
      if (!is_all_digits(block)) break;
      value = value * 100000000 + value_of(block);
    }
  }
  while (is_digit(*at_)) value = value * 10 + static_cast<uint64_t>(*at_++ - '0');
  return value;
}

bool JsonCursor::number(double& out) {
  peek();
  const char* const begin = at_;
  at_ += *at_ == '-';
  const char* const first = at_;
  uint64_t digits = 0;
  while (is_digit(*at_)) digits = digits * 10 + static_cast<uint64_t>(*at_++ - '0');
  const auto whole = at_ - first;
  if (whole == 0 || (*first == '0' && whole > 1)) return false;
  std::ptrdiff_t after_point = 0;
  if (*at_ == '.') {
    const char* const point = ++at_;
    digits = decimals(digits);
    after_point = at_ - point;
    if (after_point == 0) return false;
  }
  const bool has_exponent = *at_ == 'e' || *at_ == 'E';
  if (has_exponent) {
    ++at_;
    if (*at_ == '+' || *at_ == '-') ++at_;
    if (!is_digit(*at_)) return false;
    while (is_digit(*at_)) ++at_;
  }
  if (!has_exponent && whole + after_point <= 19 && divide(digits, static_cast<size_t>(after_point), out)) {
    // -0.0 is negative, but -0 is an integer and has no sign.
    if (*begin == '-') out = after_point == 0 ? 0 - out : -out;
    return true;
  }
  return std::from_chars(begin, at_, out).ec == std::errc();
}

bool JsonCursor::numbers(std::vector<double>& out) {
  if (!take('[')) return false;
  if (take(']')) return true;
  double value = 0;
  do {
    if (!number(value)) return false;
    out.push_back(value);
  } while (take(','));
  return take(']');
}

bool JsonCursor::integers(std::vector<int64_t>& out) {
  if (!take('[')) return false;
  if (take(']')) return true;
  int64_t value = 0;
  do {
    if (!integer(value)) return false;
    out.push_back(value);
  } while (take(','));
  return take(']');
}

bool JsonCursor::numbers(double* out, size_t count) {
  if (!take('[')) return false;
  for (size_t i = 0; i < count; ++i) {
    if ((i > 0 && !take(',')) || !number(out[i])) return false;
  }
  return take(']');
}

// The grammar alone. What is too large for a double must not pass, so few digits and no exponent are asked for.
bool JsonCursor::skip_number() {
  const char* const begin = at_;
  at_ += *at_ == '-';
  const char* const first = at_;
  while (is_digit(*at_)) ++at_;
  if (at_ == first || at_ - first > 300 || (*first == '0' && at_ - first > 1)) return false;
  if (*at_ == '.') {
    const char* const point = ++at_;
    while (is_digit(*at_)) ++at_;
    if (at_ == point) return false;
  }
  if (*at_ != 'e' && *at_ != 'E') return true;
  at_ = begin;
  double value = 0;
  return number(value);
}

bool JsonCursor::skip_value(int depth) {
  std::string_view text;
  const auto literal = [this](const char* word, size_t size) {
    if (std::strncmp(at_, word, size) != 0) return false;
    at_ += size;
    return true;
  };
  switch (const char c = peek()) {
    case '"': return string(text);
    case 't': return literal("true", 4);
    case 'f': return literal("false", 5);
    case 'n': return literal("null", 4);
    case '[':
    case '{': {
      const char closing = c == '[' ? ']' : '}';
      ++at_;
      if (depth == 0) return false;
      if (take(closing)) return true;
      do {
        if ((c == '{' && !key(text)) || !skip_value(depth - 1)) return false;
      } while (take(','));
      return take(closing);
    }
    default: return skip_number();
  }
}

}  // namespace iuq::io
