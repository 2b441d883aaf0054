#include "lib/data/segmentation.h"

#include <algorithm>

#include "lib/base/error.h"

namespace iuq::data {
namespace {

using io::Segmentation;

// Far outside, the rasteriser's work would grow without bound, and the numbers are surely not pixels of this image.
void check_polygons(const Segmentation& polygons, int64_t height, int64_t width) {
  const auto limit = static_cast<double>(std::max(height, width));
  const double* number = polygons.numbers.data();
  for (size_t i = 0; i < polygons.lengths.size(); ++i) {
    for (const double* const end = number + polygons.lengths[i]; number != end; ++number) {
      if (*number >= -limit && *number <= 2 * limit) continue;
      throw Error(ErrorCode::kBadData, cat("polygon ", i, " has the coordinate ", *number, ", far outside its image of ", height,
                                           " x ", width, " (height x width)"));
    }
  }
}

mask::Rle runs_of(const Segmentation& segmentation) {
  const bool is_text = segmentation.kind == Segmentation::Kind::kString;
  mask::Rle rle = is_text ? mask::from_string(segmentation.text, segmentation.height, segmentation.width)
                          : mask::Rle{segmentation.height, segmentation.width, segmentation.counts};
  mask::check(rle);
  return rle;
}

}  // namespace

void check_segmentation(const Segmentation& segmentation, int64_t height, int64_t width) {
  if (segmentation.kind == Segmentation::Kind::kPolygons) return check_polygons(segmentation, height, width);
  if (segmentation.height != height || segmentation.width != width) {
    throw Error(ErrorCode::kBadData, cat("size is [", segmentation.height, ", ", segmentation.width, "], but its image is [",
                                         height, ", ", width, "]"));
  }
  runs_of(segmentation);
}

mask::Rle to_mask(const Segmentation& segmentation, int64_t height, int64_t width) {
  if (segmentation.kind != Segmentation::Kind::kPolygons) return runs_of(segmentation);
  return mask::from_polygons(segmentation.numbers, segmentation.lengths, height, width);
}

}  // namespace iuq::data
