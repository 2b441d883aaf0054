#include "lib/eval/segmentation.h"

namespace iuq::eval {

mask::Rle to_rle(const io::Segmentation& segmentation, int64_t height, int64_t width) {
  mask::Rle rle;
  switch (segmentation.kind) {
    case io::Segmentation::Kind::kPolygons:
      return mask::from_polygons(segmentation.numbers, segmentation.lengths, height, width);
    case io::Segmentation::Kind::kCounts: rle = {segmentation.height, segmentation.width, segmentation.counts}; break;
    case io::Segmentation::Kind::kString:
      rle = mask::from_string(segmentation.text, segmentation.height, segmentation.width);
      break;
  }
  mask::check(rle);
  return rle;
}

}  // namespace iuq::eval
