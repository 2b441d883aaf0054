#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace iuq::mask {

/// A binary mask as run lengths in column-major order; the first run is background and may be 0. The numbers are those
/// of COCO's mask API to the bit, quirks on zero-length runs included, because results files are judged with it.
struct Rle {
  uint32_t height = 0;
  uint32_t width = 0;
  std::vector<uint32_t> counts;

  bool operator==(const Rle&) const = default;
};

using Box = std::array<double, 4>;  // x, y, w, h in pixels

/// `mask` [height, width] row-major bytes, non-zero is foreground. Error(kBadData) if height * width exceeds 32 bits.
Rle encode(const uint8_t* mask, int64_t height, int64_t width);
/// Writes `mask` [height, width] row-major, 0 or 1. Error(kBadData) if the counts do not add up.
void decode(const Rle& rle, uint8_t* mask);
/// Error(kBadData) unless the counts sum to height * width.
void check(const Rle& rle);

/// COCO's compressed counts: 5 bits a character, differences to the run two before from the fourth run on.
std::string to_string(const Rle& rle);
/// Error(kBadData) on a foreign character, a cut string, or a run that is negative or exceeds 32 bits. It does not look whether
/// the runs fill the image; check() does.
Rle from_string(std::string_view text, int64_t height, int64_t width);
/// The same for counts alone, into storage that is kept between calls.
void counts_from_string(std::string_view text, std::vector<uint32_t>& counts);

/// Each polygon is x0, y0, x1, y1, ... in pixels. Even-odd inside a part, parts united; no part is the empty mask; an
/// odd last number is dropped. Error(kBadData) on a coordinate that is not finite or beyond +-1e7.
Rle from_polygons(const std::vector<std::vector<double>>& polygons, int64_t height, int64_t width);

/// Union or intersection. Nothing gives the 0 x 0 mask, one mask itself, masks of unequal size the 0 x 0 mask.
Rle merge(const std::vector<Rle>& rles, bool intersect);

/// Of compressed counts in one go, with the counts as a by-product in storage that is kept between calls. False where
/// from_string() or check() would throw.
struct Measures {
  uint32_t area = 0;
  std::array<uint32_t, 2> columns{};  // x and w of to_box(), which takes far longer
};
bool measure(std::string_view text, uint32_t height, uint32_t width, std::vector<uint32_t>& counts, Measures& out);

uint32_t area(const Rle& rle);
/// Tight box; zeros for the empty mask.
Box to_box(const Rle& rle);
Box to_box(const std::vector<uint32_t>& counts, uint32_t height, uint32_t width);

/// The part of the mask that is within `distance` pixels (of the square metric) of what is not mask; beyond the image there is no
/// mask. Source: Cheng et al., "Boundary IoU", section 4: the mask less its erosion by `distance` 3x3 steps.
Rle boundary(const Rle& rle, uint32_t distance);

/// Intersection over union of one pair; with `crowd` over the area of `dt` alone. 0 where the boxes do not overlap,
/// -1 where they do but the sizes of the images differ.
double iou(const Rle& dt, const Rle& gt, bool crowd);
double iou(const Box& dt, const Box& gt, bool crowd);

/// What is computed once for a mask and used in each comparison with another.
struct Foreground {
  uint32_t area = 0;
  bool has_empty_run = false;  // other than the first: the reference's walk may end early at such a place

  Foreground() = default;
  explicit Foreground(const std::vector<uint32_t>& counts);
};

/// iou() of two masks whose boxes are known to overlap.
double iou_of_runs(const Rle& dt, const Rle& gt, bool crowd);
double iou_of_runs(const Rle& dt, const Foreground& of_dt, const Rle& gt, const Foreground& of_gt, bool crowd);

}  // namespace iuq::mask
