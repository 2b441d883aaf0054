#include <cmath>
#include <limits>

#include "lib/base/error.h"
#include "lib/mask/rle.h"
#include "tests/support/box_mask.h"
#include "tests/support/catch.h"
#include "tests/unit/mask/random_mask.h"

namespace {

using namespace iuq::mask;

// The pixels [x0, x1) x [y0, y1) of an image, clipped.
Rle rectangle(int64_t height, int64_t width, int64_t x0, int64_t y0, int64_t x1, int64_t y1) {
  std::vector<uint8_t> pixels(static_cast<size_t>(height * width), 0);
  for (int64_t y = std::max<int64_t>(y0, 0); y < std::min(y1, height); ++y) {
    for (int64_t x = std::max<int64_t>(x0, 0); x < std::min(x1, width); ++x) pixels[size_t(y * width + x)] = 1;
  }
  return encode(pixels.data(), height, width);
}

}  // namespace

TEST_CASE("mask: a box on pixel borders is exactly its pixels, in any direction, clipped to the image", "[mask][property]") {
  iuq::Rng rng(4, "mask-box");
  for (int i = 0; i < 200; ++i) {
    const int64_t height = 1 + rng.below(30), width = 1 + rng.below(30);
    const int64_t x = rng.below(50) - 15, y = rng.below(50) - 15, w = 1 + rng.below(20), h = 1 + rng.below(20);
    CAPTURE(height, width, x, y, w, h);
    const Rle expected = rectangle(height, width, x, y, x + w, y + h);
    const double x0 = double(x), y0 = double(y), x1 = double(x + w), y1 = double(y + h);
    REQUIRE(iuq::test::box_mask({x0, y0, double(w), double(h)}, height, width) == expected);
    REQUIRE(from_polygons({{x1, y0, x1, y1, x0, y1, x0, y0}}, height, width) == expected);
    REQUIRE(from_polygons({{x0, y0, x1, y0, x1, y1, x0, y1}}, height, width) == expected);
  }
}

TEST_CASE("mask: a polygon covers its area but for its outline", "[mask][property]") {
  iuq::Rng rng(5, "mask-polygon");
  for (int i = 0; i < 100; ++i) {
    CAPTURE(i);
    const int corners = 3 + int(rng.below(12));
    std::vector<double> xy;
    double twice = 0, outline = 0;
    for (int j = 0; j < corners; ++j) {
      const double angle = 2 * 3.141592653589793 * (j + rng.uniform(0, .9)) / corners, radius = rng.uniform(10, 45);
      xy.push_back(50 + radius * std::cos(angle));
      xy.push_back(50 + radius * std::sin(angle));
    }
    for (size_t j = 0; j < xy.size(); j += 2) {
      const double x = xy[j], y = xy[j + 1], nx = xy[(j + 2) % xy.size()], ny = xy[(j + 3) % xy.size()];
      twice += x * ny - nx * y;
      outline += std::hypot(nx - x, ny - y);
    }
    REQUIRE(std::abs(double(area(from_polygons({xy}, 100, 100))) - std::abs(twice) / 2) <= outline / 4 + 2);
  }
}

TEST_CASE("mask: even-odd inside a part, union over parts", "[mask][golden]") {
  const std::vector<double> outer = {1, 1, 9, 1, 9, 9, 1, 9}, inner = {3, 3, 6, 3, 6, 6, 3, 6};
  std::vector<double> ring = outer;  // goes in to the hole and back along one line
  ring.insert(ring.end(), {1, 1, 3, 3, 3, 6, 6, 6, 6, 3, 3, 3, 1, 1});
  REQUIRE(area(from_polygons({ring}, 10, 10)) == 64 - 9);
  REQUIRE(area(from_polygons({outer, inner}, 10, 10)) == 64);
}

TEST_CASE("mask: no part, a point, a line and the far outside give the empty mask", "[mask][golden]") {
  const Rle empty{6, 7, {42}};
  REQUIRE(from_polygons({}, 6, 7) == empty);
  REQUIRE(from_polygons({{}}, 6, 7) == empty);
  REQUIRE(from_polygons({{3, 3}}, 6, 7) == empty);
  REQUIRE(from_polygons({{1, 1, 5, 5}}, 6, 7) == empty);
  REQUIRE(from_polygons({{100, 100, 120, 100, 120, 130}}, 6, 7) == empty);
  REQUIRE(from_polygons({{1, 1, 5, 1, 5, 5, 9}}, 6, 7) == from_polygons({{1, 1, 5, 1, 5, 5}}, 6, 7));
}

TEST_CASE("mask: coordinates that are not numbers of pixels are refused", "[mask][error]") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, inf, -inf, 1e300, -1e8}) {
    REQUIRE_THROWS_AS(from_polygons({{1, 1, 5, bad, 5, 5}}, 6, 7), iuq::Error);
  }
  REQUIRE_THROWS_AS(iuq::test::box_mask({0, 0, nan, 1}, 6, 7), iuq::Error);
}
