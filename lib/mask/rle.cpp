#include "lib/mask/rle.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "lib/base/error.h"
#include "lib/mask/size.h"

namespace iuq::mask {
namespace {

constexpr int kBits = 5;                   // payload of one character
constexpr int64_t kMore = 1 << kBits;      // another character of the same run follows
constexpr int64_t kSign = 1 << (kBits - 1);
constexpr char kFirst = '0';
constexpr int kMaxGroups = 7;              // 35 bits hold every difference of two runs

// One signed number from text[at..]; moves `at` past it.
int64_t read_number(std::string_view text, size_t& at) {
  int64_t value = 0;
  for (int group = 0;; ++group) {
    if (at == text.size()) throw Error(ErrorCode::kBadData, "compressed counts end inside a run; the string is cut");
    if (group == kMaxGroups) {
      throw Error(ErrorCode::kBadData, cat("compressed counts have a run beyond 32 bits at character ", at));
    }
    const int64_t bits = static_cast<unsigned char>(text[at]) - kFirst;
    if (bits < 0 || bits >= 2 * kMore) {
      const bool is_bytes = text.starts_with("b'") || text.starts_with("b\"");
      throw Error(ErrorCode::kBadData,
                  cat("compressed counts have a character outside '0'..'o' at ", at,
                      is_bytes ? "; they are the text of Python bytes, str(counts); write counts.decode() instead" : ""));
    }
    ++at;
    value |= (bits & (kMore - 1)) << (kBits * group);
    if (bits & kMore) continue;
    if (bits & kSign) value -= int64_t{1} << (kBits * (group + 1));
    return value;
  }
}

#ifdef __SSE2__
// Adds to each of 16 numbers those two, four, ... before it. Numbers of one character are within [-16, 15], so that eight of them
// add up within a byte.
__m128i sum_every_other(__m128i x) {
  x = _mm_add_epi8(x, _mm_slli_si128(x, 2));
  x = _mm_add_epi8(x, _mm_slli_si128(x, 4));
  return _mm_add_epi8(x, _mm_slli_si128(x, 8));
}

// Decodes characters that are a number each, 16 at a time, behind the runs out[-2] and out[-1]. Returns how many: it stops at the
// first that is not, when fewer than 16 are left, and where a run would be negative or near 32 bits. May write up to 16 beyond.
size_t decode_short(const char* at, const char* end, uint32_t* out) {
  constexpr ptrdiff_t kWide = 16;
  constexpr uint32_t kFar = uint32_t{1} << 30;
  if (out[-2] >= kFar || out[-1] >= kFar) return 0;
  const __m128i sign = _mm_set1_epi8(kSign);
  const __m128i last = _mm_set_epi32(0, 0, static_cast<int>(out[-1]), static_cast<int>(out[-2]));
  __m128i before = _mm_unpacklo_epi64(last, last);
  size_t done = 0;
  for (int count = kWide; count == kWide && end - at >= kWide; at += count) {
    const __m128i bits = _mm_sub_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), _mm_set1_epi8(kFirst));
    // The two top bits of a byte tell foreign characters, the third that another follows.
    const __m128i others = _mm_and_si128(bits, _mm_set1_epi8(static_cast<char>(0xe0)));
    count = std::countr_one(static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(others, _mm_setzero_si128()))));
    const __m128i sums = sum_every_other(_mm_sub_epi8(_mm_xor_si128(bits, sign), sign));
    const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(sums, sums), 8), high = _mm_srai_epi16(_mm_unpackhi_epi8(sums, sums), 8);
    const __m128i runs[] = {_mm_add_epi32(before, _mm_srai_epi32(_mm_unpacklo_epi16(low, low), 16)),
                            _mm_add_epi32(before, _mm_srai_epi32(_mm_unpackhi_epi16(low, low), 16)),
                            _mm_add_epi32(before, _mm_srai_epi32(_mm_unpacklo_epi16(high, high), 16)),
                            _mm_add_epi32(before, _mm_srai_epi32(_mm_unpackhi_epi16(high, high), 16))};
    const __m128i signs = _mm_packs_epi16(_mm_packs_epi32(runs[0], runs[1]), _mm_packs_epi32(runs[2], runs[3]));
    if ((_mm_movemask_epi8(signs) & ((1 << count) - 1)) != 0) break;
    for (size_t i = 0; i < 4; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + done + 4 * i), runs[i]);
    done += static_cast<size_t>(count);
    before = _mm_unpackhi_epi64(runs[3], runs[3]);
  }
  return done;
}
#endif

// Accepts what read_number() and the checks on it accept, but returns false instead of throwing. Nearly every number is one
// character long.
bool decode_counts(std::string_view text, std::vector<uint32_t>& counts) {
  counts.resize(text.size());
  uint32_t* const out = counts.data();
  size_t n = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    [[maybe_unused]] const char* number = at;
    uint32_t bits = static_cast<uint32_t>(*at++) - kFirst;
    int64_t value = static_cast<int32_t>(bits << (32 - kBits)) >> (32 - kBits);  // the fifth bit is the sign
    if (bits >= kMore) {
      if (bits >= 2 * kMore) return false;
      value = bits & (kMore - 1);
      for (int shift = kBits;; shift += kBits) {
        if (at == end || shift == kBits * kMaxGroups) return false;
        bits = static_cast<uint32_t>(*at++) - kFirst;
        if (bits >= 2 * kMore) return false;
        value |= static_cast<int64_t>(bits & (kMore - 1)) << shift;
        if (bits & kMore) continue;
        if (bits & kSign) value -= int64_t{1} << (shift + kBits);
        break;
      }
    }
    if (n > 2) value += out[n - 2];
    if (value < 0 || value > std::numeric_limits<uint32_t>::max()) return false;
    out[n++] = static_cast<uint32_t>(value);
#ifdef __SSE2__
    // Long numbers come together, where the outline jumps; after a short one many short ones are likely.
    if (at - number == 1 && n > 2) {
      const size_t count = decode_short(at, end, out + n);
      at += count;
      n += count;
    }
#endif
  }
  counts.resize(n);
  return true;
}

// x, y, w, h. In 32 bits on purpose: when every foreground run has length 0 the reference wraps round, and so must this.
std::array<uint32_t, 4> box_of(const std::vector<uint32_t>& counts, uint32_t height, uint32_t width) {
  const size_t runs = counts.size() / 2 * 2;  // an odd last run is background
  if (runs == 0) return {0, 0, 0, 0};
  uint32_t left = width, top = height, right = 0, bottom = 0;
  uint32_t start = 0, column = 0, column_start = 0;
  // Pixel indices only rise, mostly by less than a column.
  const auto go_to = [&](uint32_t pixel) {
    const uint32_t ahead = pixel - column_start;
    if (ahead < height) return;
    const uint32_t columns = ahead < 2 * uint64_t{height} ? 1 : ahead / std::max(height, 1u);  // 0: unchecked counts
    column += columns;
    column_start += columns * height;
  };
  for (size_t i = 1; i < runs; i += 2) {
    start += counts[i - 1];
    const uint32_t run = counts[i];
    if (run == 0) continue;
    go_to(start);
    const uint32_t x0 = column, y0 = start - column_start;
    const uint32_t last = start + run - 1;
    go_to(last);
    left = std::min(left, x0);
    right = std::max(right, column);
    top = x0 < column ? 0 : std::min(top, y0);
    bottom = x0 < column ? height - 1 : std::max(bottom, last - column_start);
    start += run;
  }
  return {left, top, right - left + 1, bottom - top + 1};
}

// The x and w of box_of(), for counts that fill the image.
std::array<uint32_t, 2> columns_of(const std::vector<uint32_t>& counts, uint32_t height, uint32_t width) {
  const size_t runs = counts.size() / 2 * 2;
  if (runs == 0) return {0, 0};
  size_t first = 1, last = runs - 1;
  uint32_t start = counts[0], behind = height * width - (runs < counts.size() ? counts.back() : 0);
  for (; first < runs && counts[first] == 0; first += 2) start += first + 1 < runs ? counts[first + 1] : 0;
  if (first > last) return {width, 1 - width};  // nothing but empty runs: what box_of() gives then
  for (; counts[last] == 0; last -= 2) behind -= counts[last - 1];
  const uint32_t x = start / height;
  return {x, (behind - 1) / height - x + 1};
}

void write_number(int64_t value, std::string& text) {
  while (true) {
    const int64_t bits = value & (kMore - 1);
    value >>= kBits;
    const bool last = value == ((bits & kSign) ? -1 : 0);
    text.push_back(static_cast<char>(kFirst + (last ? bits : bits | kMore)));
    if (last) return;
  }
}

}  // namespace

Rle empty_of(int64_t height, int64_t width) {
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  if (height < 0 || width < 0 || height > kMax || width > kMax || (width > 0 && height > kMax / width)) {
    throw Error(ErrorCode::kBadData, cat("a mask of ", height, " x ", width, " is not possible (32 bits of pixels)"));
  }
  return {static_cast<uint32_t>(height), static_cast<uint32_t>(width), {}};
}

Rle encode(const uint8_t* mask, int64_t height, int64_t width) {
  Rle rle = empty_of(height, width);
  uint32_t run = 0;
  bool inside = false;
  for (int64_t x = 0; x < width; ++x) {
    const uint8_t* pixel = mask + x;
    for (int64_t y = 0; y < height; ++y, pixel += width) {
      if ((*pixel != 0) != inside) {
        rle.counts.push_back(run);
        run = 0;
        inside = !inside;
      }
      ++run;
    }
  }
  rle.counts.push_back(run);
  return rle;
}

void check(const Rle& rle) {
  const uint64_t pixels = uint64_t{rle.height} * rle.width;
  uint64_t sum = 0;
  for (const uint32_t run : rle.counts) sum += run;
  if (sum != pixels) {
    throw Error(ErrorCode::kBadData,
                cat("counts sum to ", sum, " but size is ", rle.height, " x ", rle.width, " = ", pixels, " pixels"));
  }
}

void decode(const Rle& rle, uint8_t* mask) {
  check(rle);
  std::memset(mask, 0, size_t{rle.height} * rle.width);
  uint64_t start = 0;
  for (size_t i = 0; i < rle.counts.size(); ++i) {
    const uint64_t end = start + rle.counts[i];
    if (i % 2 == 1 && end > start) {
      uint64_t x = start / rle.height, y = start % rle.height;
      for (uint64_t at = start; at < end; ++at) {
        mask[y * rle.width + x] = 1;
        if (++y == rle.height) y = 0, ++x;
      }
    }
    start = end;
  }
}

std::string to_string(const Rle& rle) {
  std::string text;
  text.reserve(rle.counts.size() * 2);
  for (size_t i = 0; i < rle.counts.size(); ++i) {
    write_number(int64_t{rle.counts[i]} - (i > 2 ? int64_t{rle.counts[i - 2]} : 0), text);
  }
  return text;
}

void counts_from_string(std::string_view text, std::vector<uint32_t>& counts) {
  if (decode_counts(text, counts)) return;
  counts.clear();  // once more, by the way that says what is wrong
  for (size_t at = 0; at < text.size();) {
    const size_t i = counts.size();
    const int64_t run = read_number(text, at) + (i > 2 ? int64_t{counts[i - 2]} : 0);
    if (run < 0 || run > std::numeric_limits<uint32_t>::max()) {
      throw Error(ErrorCode::kBadData, cat("compressed counts give run ", i, " the length ", run));
    }
    counts.push_back(static_cast<uint32_t>(run));
  }
}

bool measure(std::string_view text, uint32_t height, uint32_t width, std::vector<uint32_t>& counts, Measures& out) {
  const uint64_t pixels = uint64_t{height} * width;
  if (pixels > std::numeric_limits<uint32_t>::max() || !decode_counts(text, counts)) return false;
  uint64_t background = 0, foreground = 0;
  size_t i = 0;
  for (; i + 1 < counts.size(); i += 2) {
    background += counts[i];
    foreground += counts[i + 1];
  }
  if (i < counts.size()) background += counts[i];
  if (background + foreground != pixels) return false;
  out.area = static_cast<uint32_t>(foreground);
  out.columns = columns_of(counts, height, width);
  return true;
}

Rle from_string(std::string_view text, int64_t height, int64_t width) {
  Rle rle = empty_of(height, width);
  counts_from_string(text, rle.counts);
  return rle;
}

uint32_t area(const Rle& rle) {
  uint32_t sum = 0;
  for (size_t i = 1; i < rle.counts.size(); i += 2) sum += rle.counts[i];
  return sum;
}

Box to_box(const Rle& rle) { return to_box(rle.counts, rle.height, rle.width); }

Box to_box(const std::vector<uint32_t>& counts, uint32_t height, uint32_t width) {
  const auto [x, y, w, h] = box_of(counts, height, width);
  return {double(x), double(y), double(w), double(h)};
}

}  // namespace iuq::mask
