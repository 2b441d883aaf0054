#pragma once
// Masks pixel by pixel and step by step, from the formats' descriptions: what lib/mask must agree with.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "lib/mask/rle.h"

namespace iuq::test {

/// Column-major pixels, 0 or 1.
struct Dense {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;

  uint8_t& at(int64_t y, int64_t x) { return pixels[static_cast<size_t>(x * height + y)]; }
  bool covers(int64_t y, int64_t x) const {
    return y >= 0 && y < height && x >= 0 && x < width && pixels[static_cast<size_t>(x * height + y)] != 0;
  }
  int64_t area() const { return std::count(pixels.begin(), pixels.end(), uint8_t{1}); }
};

/// The counts must add up.
inline Dense dense_of(const mask::Rle& rle) {
  Dense out{rle.height, rle.width, {}};
  for (size_t i = 0; i < rle.counts.size(); ++i) out.pixels.insert(out.pixels.end(), rle.counts[i], i % 2);
  return out;
}

/// Without zero-length runs but for the first.
inline mask::Rle runs_of(const Dense& dense) {
  mask::Rle out{static_cast<uint32_t>(dense.height), static_cast<uint32_t>(dense.width), {0}};
  for (const uint8_t pixel : dense.pixels) {
    if (pixel != (out.counts.size() - 1) % 2) out.counts.push_back(0);
    ++out.counts.back();
  }
  return out;
}

inline mask::Box plain_box(const Dense& dense) {
  int64_t x0 = dense.width, y0 = dense.height, x1 = -1, y1 = -1;
  for (int64_t x = 0; x < dense.width; ++x) {
    for (int64_t y = 0; y < dense.height; ++y) {
      if (dense.covers(y, x)) x0 = std::min(x0, x), y0 = std::min(y0, y), x1 = std::max(x1, x), y1 = std::max(y1, y);
    }
  }
  if (x1 < 0) return {0, 0, 0, 0};
  return {double(x0), double(y0), double(x1 - x0 + 1), double(y1 - y0 + 1)};
}

/// The pixels with one within `d` in both directions that is not mask; there is none beyond the image.
inline Dense plain_boundary(const Dense& dense, int64_t d) {
  Dense out = dense;
  const auto is_core = [&](int64_t y, int64_t x) {
    for (int64_t v = y - d; v <= y + d; ++v) {
      for (int64_t u = x - d; u <= x + d; ++u) {
        if (!dense.covers(v, u)) return false;
      }
    }
    return true;
  };
  for (int64_t x = 0; x < dense.width; ++x) {
    for (int64_t y = 0; y < dense.height; ++y) {
      if (dense.covers(y, x) && is_core(y, x)) out.at(y, x) = 0;
    }
  }
  return out;
}

inline double plain_iou(const Dense& dt, const Dense& gt, bool crowd) {
  int64_t both = 0, either = 0;
  for (size_t i = 0; i < dt.pixels.size(); ++i) {
    both += dt.pixels[i] & gt.pixels[i];
    either += dt.pixels[i] | gt.pixels[i];
  }
  return both == 0 ? 0 : double(both) / double(crowd ? dt.area() : either);
}

/// Compressed counts: five bits a character above '0', the sixth says that more follow, the sign is the top bit of the
/// last; from the fourth run on the difference to the run two before. False unless each run fits 32 bits.
inline bool plain_counts(std::string_view text, std::vector<uint32_t>& counts) {
  counts.clear();
  for (size_t at = 0; at < text.size();) {
    std::vector<int> groups;
    do {
      if (at == text.size() || text[at] < '0' || text[at] > 'o') return false;
      groups.push_back(text[at++] - '0');
    } while (groups.back() >= 32);
    if (groups.size() > 7) return false;
    int64_t value = groups.back() % 32 >= 16 ? -1 : 0;
    for (size_t i = groups.size(); i-- > 0;) value = value * 32 + groups[i] % 32;
    if (counts.size() > 2) value += counts[counts.size() - 2];
    if (value < 0 || value > int64_t{UINT32_MAX}) return false;
    counts.push_back(static_cast<uint32_t>(value));
  }
  return true;
}

/// One polygon as a walk of single steps on a grid of five steps a pixel. A crossing is where x goes from 2 to 3 (or back)
/// within a pixel; crossings cancel in pairs down each column.
inline mask::Rle plain_polygon(const std::vector<double>& xy, int64_t height, int64_t width) {
  struct Step {
    int64_t x, y;
  };
  const auto cut = [](double value) { return static_cast<int64_t>(value); };
  std::vector<Step> corners, steps;
  for (size_t i = 0; i + 1 < xy.size(); i += 2) corners.push_back({cut(5 * xy[i] + .5), cut(5 * xy[i + 1] + .5)});
  for (size_t i = 0; i < corners.size(); ++i) {
    const Step from = corners[i], to = corners[(i + 1) % corners.size()];
    const int64_t dx = std::abs(to.x - from.x), dy = std::abs(to.y - from.y), length = std::max(dx, dy);
    const bool along_x = dx >= dy, backward = along_x ? from.x > to.x : from.y > to.y;
    const Step low = backward ? to : from, high = backward ? from : to;
    const double slope = length == 0 ? 0 : double(along_x ? high.y - low.y : high.x - low.x) / double(length);
    for (int64_t n = 0; n <= length; ++n) {
      const int64_t t = backward ? length - n : n;
      const int64_t minor = cut(double(along_x ? low.y : low.x) + slope * double(t) + .5);
      steps.push_back(along_x ? Step{low.x + t, minor} : Step{minor, low.y + t});
    }
  }
  Dense out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width), 0)};
  for (size_t i = 1; i < steps.size(); ++i) {
    if (steps[i].x == steps[i - 1].x) continue;
    const int64_t x = std::min(steps[i].x, steps[i - 1].x), y = std::min(steps[i].y, steps[i - 1].y);
    if (x < 0 || x % 5 != 2 || x / 5 >= width) continue;
    const double row = std::ceil(std::clamp((double(y) + .5) / 5 - .5, 0., double(height)));
    // Everything behind the crossing changes sides, to the end of the image.
    for (size_t p = static_cast<size_t>(x / 5 * height + cut(row)); p < out.pixels.size(); ++p) out.pixels[p] ^= 1;
  }
  return runs_of(out);
}

}  // namespace iuq::test
