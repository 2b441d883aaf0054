#include "lib/mask/rle.h"
#include "tests/support/catch.h"
#include "tests/support/mask_oracle.h"
#include "tests/unit/mask/random_mask.h"

namespace {

using namespace iuq::mask;
using iuq::test::Dense;

// Rectangles that touch borders, span the whole height or leave holes, and noise.
Dense random_map(iuq::Rng& rng, int64_t height, int64_t width) {
  Dense out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width), 0)};
  for (int64_t n = 1 + rng.below(4); n > 0; --n) {
    const int64_t x0 = rng.below(2) * rng.below(width), x1 = rng.below(2) ? width : x0 + rng.below(width - x0 + 1);
    const int64_t y0 = rng.below(2) * rng.below(height), y1 = rng.below(2) ? height : y0 + rng.below(height - y0 + 1);
    const uint8_t value = rng.below(4) != 0;
    for (int64_t x = x0; x < x1; ++x) {
      for (int64_t y = y0; y < y1; ++y) out.at(y, x) = value;
    }
  }
  for (int64_t n = rng.below(2) * rng.below(6); n > 0; --n) out.at(rng.below(height), rng.below(width)) ^= 1;
  return out;
}

}  // namespace

TEST_CASE("mask: the boundary is the mask less its erosion, pixel by pixel", "[mask][property]") {
  iuq::Rng rng(10, "mask-boundary");
  int with_core = 0;
  for (int i = 0; i < 600; ++i) {
    const int64_t height = 1 + rng.below(60), width = 1 + rng.below(60), distance = 1 + rng.below(rng.below(2) ? 4 : 20);
    CAPTURE(i, height, width, distance);
    const Dense dense = random_map(rng, height, width), want = iuq::test::plain_boundary(dense, distance);
    with_core += want.area() < dense.area();
    const Rle got = boundary(iuq::test::runs_of(dense), static_cast<uint32_t>(distance));
    check(got);
    if (dense.area() == 0) {
      REQUIRE(area(got) == 0);
    } else {
      REQUIRE(got == iuq::test::runs_of(want));
    }
  }
  CHECK(with_core > 100);
}

TEST_CASE("mask: the boundary of masks with zero-length runs is that of their pixels", "[mask][property]") {
  const Rle odd{7, 9, {0, 20, 0, 10, 3, 0, 2, 15, 13}};
  const Dense dense = iuq::test::dense_of(odd);
  for (const uint32_t distance : {1u, 2u, 3u, 100u}) {
    REQUIRE(boundary(odd, distance) == iuq::test::runs_of(iuq::test::plain_boundary(dense, distance)));
  }
  REQUIRE(area(boundary({4, 6, {10, 0, 14, 0}}, 1)) == 0);
  REQUIRE(area(boundary({0, 6, {0}}, 1)) == 0);
}
