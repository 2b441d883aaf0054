#pragma once

#include <cstdint>

#include "lib/io/segmentation.h"
#include "lib/mask/rle.h"

namespace iuq::data {

/// Checks a segmentation against its image: the size and the run lengths of an RLE, polygons within a frame three times as
/// wide. Error(kBadData) saying what is wrong, but not of which annotation.
void check_segmentation(const io::Segmentation& segmentation, int64_t height, int64_t width);

/// Rasterised as pycocotools does. Error(kBadData) for a broken RLE.
mask::Rle to_mask(const io::Segmentation& segmentation, int64_t height, int64_t width);

}  // namespace iuq::data
