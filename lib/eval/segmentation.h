#pragma once

#include <cstdint>

#include "lib/io/segmentation.h"
#include "lib/mask/rle.h"

namespace iuq::eval {

/// The runs; polygons are drawn into an image of that size, the other forms bring their own. Checked to be complete:
/// Error(kBadData).
mask::Rle to_rle(const io::Segmentation& segmentation, int64_t height, int64_t width);

}  // namespace iuq::eval
