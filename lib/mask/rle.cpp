#include "lib/mask/rle.h"

#include <algorithm>
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

// One signed number from text[at..]; moves `at` behind it.
int64_t read_number(std::string_view text, size_t& at) {
  int64_t value = 0;
  for (int group = 0;; ++group) {
    if (at == text.size()) throw Error(ErrorCode::kBadData, "compressed counts end inside a run; the string is cut");
    if (group == kMaxGroups) {
      throw Error(ErrorCode::kBadData, cat("compressed counts have a run beyond 32 bits at character ", at));
    }
    const int64_t bits = static_cast<unsigned char>(text[at]) - kFirst;
    if (bits < 0 || bits >= 2 * kMore) {
      throw Error(ErrorCode::kBadData, cat("compressed counts have a character outside '0'..'o' at ", at));
    }
    ++at;
    value |= (bits & (kMore - 1)) << (kBits * group);
    if (bits & kMore) continue;
    if (bits & kSign) value -= int64_t{1} << (kBits * (group + 1));
    return value;
  }
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
  counts.clear();
  for (size_t at = 0; at < text.size();) {
    const size_t i = counts.size();
    const int64_t run = read_number(text, at) + (i > 2 ? int64_t{counts[i - 2]} : 0);
    if (run < 0 || run > std::numeric_limits<uint32_t>::max()) {
      throw Error(ErrorCode::kBadData, cat("compressed counts give run ", i, " the length ", run));
    }
    counts.push_back(static_cast<uint32_t>(run));
  }
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

Box to_box(const Rle& rle) {
  const size_t runs = rle.counts.size() / 2 * 2;  // an odd last run is background
  if (runs == 0) return {0, 0, 0, 0};
  uint32_t left = rle.width, top = rle.height, right = 0, bottom = 0;
  uint32_t start = 0;
  for (size_t i = 1; i < runs; i += 2) {
    start += rle.counts[i - 1];
    const uint32_t run = rle.counts[i];
    if (run == 0) continue;
    const uint32_t last = start + run - 1;
    const uint32_t x0 = start / rle.height, x1 = last / rle.height;
    left = std::min(left, x0);
    right = std::max(right, x1);
    top = x0 < x1 ? 0 : std::min(top, start - x0 * rle.height);
    bottom = x0 < x1 ? rle.height - 1 : std::max(bottom, last - x1 * rle.height);
    start += run;
  }
  // In 32 bits on purpose: when every foreground run has length 0 the reference wraps round, and so must this.
  const uint32_t w = right - left + 1, h = bottom - top + 1;
  return {double(left), double(top), double(w), double(h)};
}

}  // namespace iuq::mask
