#include "lib/mask/rle.h"
#include "tests/support/catch.h"
#include "tests/unit/mask/random_mask.h"

namespace {

using namespace iuq::mask;
using iuq::test::Bitmap;
using iuq::test::random_bitmap;

Rle encode(const Bitmap& mask) { return iuq::mask::encode(mask.pixels.data(), mask.height, mask.width); }

Bitmap combine(const Bitmap& a, const Bitmap& b, bool intersect) {
  Bitmap out = a;
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    out.pixels[i] = intersect ? a.pixels[i] && b.pixels[i] : a.pixels[i] || b.pixels[i];
  }
  return out;
}

double count(const Bitmap& mask) { return double(std::count(mask.pixels.begin(), mask.pixels.end(), 1)); }

}  // namespace

TEST_CASE("mask: merge and IoU agree with counting pixels", "[mask][property]") {
  iuq::Rng rng(2, "mask-overlap");
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    const int64_t height = 1 + rng.below(30), width = 1 + rng.below(30);
    const Bitmap a = random_bitmap(rng, height, width), b = random_bitmap(rng, height, width);
    const Bitmap both = combine(a, b, true), either = combine(a, b, false);
    REQUIRE(merge({encode(a), encode(b)}, true) == encode(both));
    REQUIRE(merge({encode(a), encode(b)}, false) == encode(either));
    const double shared = count(both);
    REQUIRE(iou(encode(a), encode(b), false) == (shared > 0 ? shared / count(either) : 0));
    REQUIRE(iou(encode(a), encode(b), true) == (shared > 0 ? shared / count(a) : 0));
  }
}

TEST_CASE("mask: merging nothing, one mask and masks of two sizes", "[mask][golden]") {
  const Rle odd{2, 2, {1, 0, 0, 1, 2}};  // zero-length runs are kept
  REQUIRE(merge({}, false) == Rle{});
  REQUIRE(merge({odd}, false) == odd);
  REQUIRE(merge({odd, Rle{4, 1, {0, 4}}}, false) == Rle{});
}

TEST_CASE("mask: masks of images of two sizes have IoU -1 where their boxes overlap, else 0", "[mask][golden]") {
  const Rle tall{4, 2, {0, 2, 6}}, wide{2, 4, {0, 2, 6}}, far{2, 4, {6, 2}};
  REQUIRE(iou(tall, wide, false) == -1);
  REQUIRE(iou(tall, far, false) == 0);
}

TEST_CASE("mask: box IoU by hand, with and without crowd", "[mask][golden]") {
  const Box a = {0, 0, 4, 2}, b = {2, 1, 4, 4};  // share 2 x 1
  REQUIRE(iou(a, b, false) == 2.0 / (8 + 16 - 2));
  REQUIRE(iou(a, b, true) == 2.0 / 8);
  REQUIRE(iou(a, Box{4, 0, 3, 3}, false) == 0);  // touch
  REQUIRE(iou(b, a, true) == 2.0 / 16);
  REQUIRE(iou(a, a, false) == 1);
}
