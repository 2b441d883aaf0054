#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/eval/fields.h"
#include "lib/mask/rle.h"

namespace iuq::eval {

/// A `segmentation` as the file has it: polygons, counts as a list, or counts as a compressed string.
struct Segmentation {
  enum class Kind { kNone, kPolygons, kCounts, kString };
  Kind kind = Kind::kNone;
  std::vector<std::vector<double>> polygons;
  std::string text;           // kString
  mask::Rle rle;              // size of kCounts and kString, counts of kCounts
};

/// Error(kBadData) naming the place unless it is one of the three forms. As in the reference, the first polygon needs
/// more than four numbers (a list of four would read as a box) and the list must not be empty.
Segmentation read_segmentation(const Fields& fields);

/// The runs; polygons are drawn into an image of that size, the other forms bring their own. Checked to be complete.
mask::Rle to_rle(Segmentation segmentation, int64_t height, int64_t width);

}  // namespace iuq::eval
