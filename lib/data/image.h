#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace iuq::data {

/// An image: [height, width, 3] bytes, row-major, channels blue, green, red.
struct Pixels {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> bgr;

  const uint8_t* at(int64_t y, int64_t x) const { return bgr.data() + 3 * (y * width + x); }
  uint8_t* at(int64_t y, int64_t x) { return bgr.data() + 3 * (y * width + x); }
};

/// Decodes a file (JPEG, PNG and what else OpenCV reads) to 8 bits and three channels; grey is repeated, alpha dropped.
/// An EXIF orientation is applied, as detectron2 does, so annotations are in the frame of the turned image. With an
/// expected size > 0 the result must have it; the file's header is asked first, so a wrong file costs little. A JPEG that
/// lacks its end marker but no pixel is read: Pillow and OpenCV do so too (check_images warns of it).
/// Errors: kNoInput (no such file), kBadData naming the file (not an image, truncated, another size), kIo.
Pixels read_image(const std::string& path, int64_t expected_height = 0, int64_t expected_width = 0);

/// The largest value of a file's pixels, as stored: of 16 bits up to 65535. Errors as of read_image.
double largest_value(const std::string& path);

/// Bilinear, pixel centres aligned (OpenCV's INTER_LINEAR). It does not smooth when shrinking, which is mmdetection's
/// habit; detectron2's smooths, and AP differs by about a tenth of a point between the two.
Pixels resize(const Pixels& image, int64_t height, int64_t width);
/// The same, but what shrinks is averaged over the area of each new pixel. For large changes of scale.
Pixels resize_smooth(const Pixels& image, int64_t height, int64_t width);
/// The part of an image whose top left pixel is (top, left), as large as it fits into [height, width].
Pixels crop(const Pixels& image, int64_t top, int64_t left, int64_t height, int64_t width);

/// (height, width) of detectron2's shortest-edge rule: the short side becomes `short_side`, unless the long one would
/// exceed `long_side`; both rounded as int(x + .5), and at least 1.
std::pair<int64_t, int64_t> fit_size(int64_t height, int64_t width, int64_t short_side, int64_t long_side);

/// PNG bytes, compressed fast rather than small.
std::vector<uint8_t> encode_png(const Pixels& image);
/// Written aside and renamed. Errors: kCannotCreate, kIo.
void write_png(const std::string& path, const Pixels& image);

}  // namespace iuq::data
