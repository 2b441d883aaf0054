#pragma once

#include "lib/mask/rle.h"

namespace iuq::test {

/// The mask of a box x, y, w, h in pixels: the polygon of its four corners, as the reference makes it.
inline mask::Rle box_mask(const mask::Box& box, int64_t height, int64_t width) {
  const double x0 = box[0], y0 = box[1], x1 = box[0] + box[2], y1 = box[1] + box[3];
  return mask::from_polygons({{x0, y0, x0, y1, x1, y1, x1, y0}}, height, width);
}

}  // namespace iuq::test
