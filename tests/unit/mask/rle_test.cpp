#include "lib/mask/rle.h"

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/unit/mask/random_mask.h"

namespace {

using namespace iuq::mask;
using iuq::test::Bitmap;
using iuq::test::random_bitmap;

// Column by column, one pixel after the other.
std::vector<uint32_t> counts_by_loop(const Bitmap& mask) {
  std::vector<uint32_t> counts = {0};
  uint8_t now = 0;
  for (int64_t x = 0; x < mask.width; ++x) {
    for (int64_t y = 0; y < mask.height; ++y) {
      if (mask.at(y, x) != now) {
        counts.push_back(0);
        now = mask.at(y, x);
      }
      ++counts.back();
    }
  }
  return counts;
}

Box box_by_loop(const Bitmap& mask) {
  int64_t x0 = mask.width, y0 = mask.height, x1 = -1, y1 = -1;
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (!mask.at(y, x)) continue;
      x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    }
  }
  if (x1 < 0) return {0, 0, 0, 0};
  return {double(x0), double(y0), double(x1 - x0 + 1), double(y1 - y0 + 1)};
}

}  // namespace

TEST_CASE("mask: encode counts runs column by column and decode undoes it", "[mask][property]") {
  iuq::Rng rng(1, "mask-rle");
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    const Bitmap mask = random_bitmap(rng, 1 + rng.below(40), 1 + rng.below(40));
    const Rle rle = encode(mask.pixels.data(), mask.height, mask.width);
    REQUIRE(rle.counts == counts_by_loop(mask));
    std::vector<uint8_t> back(mask.pixels.size(), 7);
    decode(rle, back.data());
    REQUIRE(back == mask.pixels);
    REQUIRE(area(rle) == std::count(mask.pixels.begin(), mask.pixels.end(), 1));
    REQUIRE(to_box(rle) == box_by_loop(mask));
    REQUIRE(from_string(to_string(rle), mask.height, mask.width) == rle);
  }
}

TEST_CASE("mask: any byte but 0 is foreground, and a mask without pixels is one empty run", "[mask][golden]") {
  const uint8_t pixels[] = {0, 255, 2, 0, 0, 1};  // rows 0 1 1, 0 0 1
  REQUIRE(encode(pixels, 2, 3).counts == std::vector<uint32_t>{2, 1, 1, 2});
  REQUIRE(encode(nullptr, 0, 5).counts == std::vector<uint32_t>{0});
  REQUIRE(to_box(encode(nullptr, 0, 5)) == Box{0, 0, 0, 0});
}

TEST_CASE("mask: compressed strings are COCO's", "[mask][golden]") {
  // Written by pycocotools 2.0.11: frPyObjects({'size': [34637428, 1], 'counts': [...]})['counts']
  const std::vector<uint32_t> counts = {0, 1, 2, 15, 16, 17, 31, 32};
  REQUIRE(to_string({114, 1, counts}) == "012>>2??");
  REQUIRE(from_string("012>>2??", 114, 1).counts == counts);
}

TEST_CASE("mask: a mask whose foreground runs all have length 0 gets the reference's wrapped box", "[mask][golden]") {
  REQUIRE(to_box({4, 6, {10, 0, 14, 0}}) == Box{6, 4, 4294967291.0, 4294967293.0});
  REQUIRE(to_box({4, 6, {24}}) == Box{0, 0, 0, 0});
}

TEST_CASE("mask: broken strings and counts are refused", "[mask][error]") {
  REQUIRE_THROWS_AS(from_string("5 1", 4, 4), iuq::Error);         // a blank
  REQUIRE_THROWS_AS(from_string("5\x7f", 4, 4), iuq::Error);       // above 'o'
  REQUIRE_THROWS_AS(from_string("5P", 4, 4), iuq::Error);          // promises more
  REQUIRE_THROWS_AS(from_string("PPPPPPPPPP1", 4, 4), iuq::Error);  // endless run
  REQUIRE_THROWS_AS(from_string("O", 4, 4), iuq::Error);           // -1
  REQUIRE_THROWS_AS(from_string("0", -1, 4), iuq::Error);
  REQUIRE_THROWS_AS(from_string("0", 1 << 20, 1 << 20), iuq::Error);
  REQUIRE_THROWS_AS(check({4, 4, {3, 4, 8}}), iuq::Error);
  uint8_t pixels[16];
  REQUIRE_THROWS_AS(decode({4, 4, {3, 14}}, pixels), iuq::Error);
}
