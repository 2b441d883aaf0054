#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/rng.h"

namespace iuq::test {

/// Row-major 0 or 1.
struct Bitmap {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;

  uint8_t at(int64_t y, int64_t x) const { return pixels[static_cast<size_t>(y * width + x)]; }
};

/// A few filled rectangles and a few noise pixels, so that runs of every length occur, empty and full masks too.
inline Bitmap random_bitmap(Rng& rng, int64_t height, int64_t width) {
  Bitmap out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width), 0)};
  const int64_t rectangles = rng.below(4), noise = rng.below(2) * rng.below(1 + height * width / 4);
  for (int64_t i = 0; i < rectangles; ++i) {
    const int64_t y0 = rng.below(height), x0 = rng.below(width);
    const int64_t y1 = y0 + rng.below(height - y0 + 1), x1 = x0 + rng.below(width - x0 + 1);
    for (int64_t y = y0; y < y1; ++y) {
      for (int64_t x = x0; x < x1; ++x) out.pixels[static_cast<size_t>(y * width + x)] = 1;
    }
  }
  for (int64_t i = 0; i < noise; ++i) out.pixels[static_cast<size_t>(rng.below(height * width))] ^= 1;
  return out;
}

}  // namespace iuq::test
