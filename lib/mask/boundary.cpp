#include <algorithm>

#include "lib/mask/rle.h"

namespace iuq::mask {
namespace {

// The part of a mask inside its box, column by column.
struct Patch {
  size_t height, width;
  std::vector<uint8_t> pixels;  // [width, height]

  uint8_t* column(size_t x) { return pixels.data() + x * height; }
};

Patch patch_of(const Rle& rle, const Box& box) {
  Patch patch{static_cast<size_t>(box[3]), static_cast<size_t>(box[2]), {}};
  patch.pixels.resize(patch.height * patch.width);
  const uint64_t left = static_cast<uint64_t>(box[0]), top = static_cast<uint64_t>(box[1]);
  uint64_t start = 0;
  for (size_t i = 0; i < rle.counts.size(); ++i) {
    const uint64_t end = start + rle.counts[i];
    for (uint64_t at = start; i % 2 == 1 && at < end;) {
      const uint64_t x = at / rle.height, y = at % rle.height, run = std::min(end - at, rle.height - y);
      std::fill_n(patch.column(x - left) + (y - top), run, uint8_t{1});
      at += run;
    }
    start = end;
  }
  return patch;
}

// Leaves 1 where the 2 d + 1 pixels around, in the column, are all mask.
void erode_column(uint8_t* column, size_t height, size_t d) {
  for (size_t y = 0; y < height;) {
    if (!column[y]) {
      ++y;
      continue;
    }
    size_t end = y;
    while (end < height && column[end]) ++end;
    std::fill(column + y, column + std::min(end, y + d), uint8_t{0});
    std::fill(column + std::max(y, end > d ? end - d : 0), column + end, uint8_t{0});
    y = end;
  }
}

}  // namespace

Rle boundary(const Rle& rle, uint32_t distance) {
  Rle out{rle.height, rle.width, rle.counts};
  if (area(rle) == 0) return out;
  const Box box = to_box(rle);
  Patch whole = patch_of(rle, box), core = whole;
  const size_t d = distance, height = core.height, width = core.width;
  for (size_t x = 0; x < width; ++x) erode_column(core.column(x), height, d);
  // `since` counts the columns up to here without a gap: 2 d + 1 of them keep the middle one.
  std::vector<uint32_t> since(height, 0);
  for (size_t x = 0; x < width; ++x) {
    const uint8_t* const column = core.column(x);
    for (size_t y = 0; y < height; ++y) since[y] = column[y] ? since[y] + 1 : 0;
    if (x < 2 * d) continue;
    uint8_t* const middle = whole.column(x - d);
    for (size_t y = 0; y < height; ++y) middle[y] = static_cast<uint8_t>(middle[y] & (since[y] <= 2 * d));
  }
  out.counts.clear();
  uint64_t last = 0;
  bool inside = false;
  const auto change_at = [&](uint64_t pixel) {
    out.counts.push_back(static_cast<uint32_t>(pixel - last));
    last = pixel;
    inside = !inside;
  };
  for (size_t x = 0; x < width; ++x) {
    const uint64_t base = (static_cast<uint64_t>(box[0]) + x) * rle.height + static_cast<uint64_t>(box[1]);
    const uint8_t* const column = whole.column(x);
    for (size_t y = 0; y < height; ++y) {
      if ((column[y] != 0) != inside) change_at(base + y);
    }
    if (inside && height < rle.height) change_at(base + height);  // what follows the box is not mask
  }
  const uint64_t pixels = uint64_t{rle.height} * rle.width;
  const uint64_t box_end = static_cast<uint64_t>(box[0] + box[2]) * rle.height;
  if (inside && box_end < pixels) change_at(box_end);
  if (last < pixels) out.counts.push_back(static_cast<uint32_t>(pixels - last));
  return out;
}

}  // namespace iuq::mask
