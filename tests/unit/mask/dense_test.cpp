// lib/mask against counting pixels, on masks and strings that nobody would write.
#include "lib/base/error.h"
#include "lib/mask/rle.h"
#include "tests/support/catch.h"
#include "tests/support/mask_oracle.h"
#include "tests/unit/mask/random_mask.h"

namespace {

using namespace iuq::mask;
using iuq::Rng;
using iuq::test::Dense;

// Some rectangles, often touching borders or as high as the image, and some noise.
Dense random_dense(Rng& rng, int64_t height, int64_t width) {
  Dense out{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width), 0)};
  for (int64_t n = rng.below(4); n > 0; --n) {
    const bool tall = rng.below(3) == 0, to_border = rng.below(2) == 0;
    const int64_t x0 = to_border ? 0 : rng.below(width), y0 = tall ? 0 : rng.below(height);
    const int64_t x1 = x0 + rng.below(width - x0 + 1), y1 = tall ? height : y0 + rng.below(height - y0 + 1);
    for (int64_t x = x0; x < x1; ++x) {
      for (int64_t y = y0; y < y1; ++y) out.at(y, x) = 1;
    }
  }
  for (int64_t n = rng.below(2) * rng.below(6); n > 0; --n) out.at(rng.below(height), rng.below(width)) ^= 1;
  return out;
}

// The same pixels with runs split by runs of length 0.
Rle with_empty_runs(Rng& rng, const Rle& rle) {
  Rle out{rle.height, rle.width, {}};
  for (const uint32_t run : rle.counts) {
    uint32_t left = run;
    while (left > 0 && rng.below(3) == 0) {
      const auto part = static_cast<uint32_t>(rng.below(int64_t{left} + 1));
      out.counts.insert(out.counts.end(), {part, 0});
      left -= part;
    }
    out.counts.push_back(left);
  }
  return out;
}

// Whether measure() and the slow way say the same of a string; `accepted` counts those they take.
void check_measures(const std::string& text, uint32_t height, uint32_t width, int& accepted) {
  CAPTURE(text, height, width);
  std::vector<uint32_t> counts, plain;
  Measures measures;
  const bool ok = measure(text, height, width, counts, measures);
  Rle rle;
  bool slow_ok = true;
  try {
    rle = from_string(text, height, width);
    check(rle);
  } catch (const iuq::Error& e) {
    REQUIRE(e.code() == iuq::ErrorCode::kBadData);
    slow_ok = false;
  }
  REQUIRE(ok == slow_ok);
  if (iuq::test::plain_counts(text, plain)) {
    uint64_t sum = 0;
    for (const uint32_t run : plain) sum += run;
    REQUIRE(ok == (sum == uint64_t{height} * width));
  } else {
    REQUIRE_FALSE(ok);
  }
  if (!ok) return;
  ++accepted;
  REQUIRE(counts == plain);
  REQUIRE(rle.counts == plain);
  REQUIRE(measures.area == area(rle));
  const Box box = to_box(rle);
  REQUIRE(double(measures.columns[0]) == box[0]);
  REQUIRE(double(measures.columns[1]) == box[2]);
  REQUIRE(from_string(to_string(rle), height, width) == rle);
}

}  // namespace

TEST_CASE("mask: measure() agrees with the slow way on sound and damaged strings", "[mask][property]") {
  Rng rng(6, "mask-measure");
  int accepted = 0, tried = 0;
  for (int i = 0; i < 2000; ++i) {
    const int64_t height = 1 + rng.below(40), width = 1 + rng.below(40);
    Rle rle = runs_of(random_dense(rng, height, width));
    if (rng.below(2)) rle = with_empty_runs(rng, rle);
    std::string text = to_string(rle);
    check_measures(text, rle.height, rle.width, accepted);
    for (int64_t n = 1 + rng.below(3); n > 0 && !text.empty(); --n) {
      const auto at = static_cast<size_t>(rng.below(static_cast<int64_t>(text.size())));
      const char c = static_cast<char>(rng.below(8) ? '0' + rng.below(64) : rng.below(256));
      if (rng.below(3) == 0) text.erase(at, 1);
      else if (rng.below(2)) text.insert(at, 1, c);
      else text[at] = c;
    }
    check_measures(text, rle.height, rle.width, accepted);
    tried += 2;
  }
  CHECK(accepted > 2000);
  CHECK(accepted < tried - 1000);
}

TEST_CASE("mask: measure() at the limits of 32 bits", "[mask][property]") {
  int accepted = 0;
  for (const uint32_t side : {0u, 1u, 65535u, 65536u, UINT32_MAX}) {
    for (const uint32_t other : {0u, 1u, 65535u, 65537u, UINT32_MAX}) {
      for (const std::vector<uint32_t>& counts :
           {std::vector<uint32_t>{}, {0}, {0, side}, {0, UINT32_MAX}, {1, UINT32_MAX}, {UINT32_MAX, UINT32_MAX, 2},
            {5, UINT32_MAX - 5}, {0, 0, 0, UINT32_MAX, 0, 0}}) {
        check_measures(to_string({side, other, counts}), side, other, accepted);
      }
    }
  }
  for (const char* text : {"ooooooo0", "ooooooo", "oooooo0", "PPPPPPP0", "PPPPPP0", "oooooo?", "ooooooO", "PPPPPP@"}) {
    for (const uint32_t side : {0u, 1u, UINT32_MAX}) check_measures(text, side, 1, accepted);
  }
  CHECK(accepted > 10);
}

TEST_CASE("mask: the box of counts that say nothing of the image is refused or harmless", "[mask][property]") {
  // to_box() may be asked before check(): it must come back, whatever it says.
  for (const Rle& rle : {Rle{0, 5, {1, 3}}, Rle{5, 0, {1, 3}}, Rle{2, 2, {1, UINT32_MAX, 5, 9}}, Rle{0, 0, {0, 1}}}) {
    CHECK_THROWS_AS(check(rle), iuq::Error);
    CHECK(to_box(rle).size() == 4);
  }
}

TEST_CASE("mask: IoU with zero-length runs in one of two masks is that of the pixels", "[mask][property]") {
  // Where both have such a run at one place the reference stops counting; with one of them it has no reason to.
  Rng rng(7, "mask-empty-runs");
  int split = 0;
  for (int i = 0; i < 1500; ++i) {
    CAPTURE(i);
    const int64_t height = 1 + rng.below(20), width = 1 + rng.below(20);
    const Dense a = random_dense(rng, height, width), b = random_dense(rng, height, width);
    const Rle plain = runs_of(a), odd = with_empty_runs(rng, plain), other = runs_of(b);
    split += odd != plain;
    for (const bool crowd : {false, true}) {
      REQUIRE(iou_of_runs(odd, other, crowd) == iuq::test::plain_iou(a, b, crowd));
      REQUIRE(iou_of_runs(other, odd, crowd) == iuq::test::plain_iou(b, a, crowd));
    }
    REQUIRE(to_box(odd) == (a.area() > 0 || odd == plain ? iuq::test::plain_box(a) : to_box(odd)));
    REQUIRE(area(odd) == a.area());
  }
  CHECK(split > 700);
}

TEST_CASE("mask: polygons are drawn as by a walk of single steps", "[mask][property]") {
  Rng rng(8, "mask-walk");
  for (int i = 0; i < 3000; ++i) {
    CAPTURE(i);
    const int64_t height = 1 + rng.below(30), width = 1 + rng.below(30);
    const double reach = std::vector<double>{5, 30, 200, 3000}[static_cast<size_t>(rng.below(4))];
    std::vector<double> xy;
    for (int64_t n = rng.below(12); n > 0; --n) {
      const bool again = !xy.empty() && rng.below(6) == 0;  // a repeated vertex, an edge along an axis
      const double x = again ? xy[xy.size() - 2] : rng.uniform(-reach, reach);
      const double y = again && rng.below(2) ? xy.back() : rng.uniform(-reach, reach);
      const bool whole = rng.below(3) == 0;
      xy.push_back(whole ? std::floor(x) : x);
      xy.push_back(whole ? std::floor(y * 2) / 2 : y);
    }
    CAPTURE(height, width, xy);
    const Rle drawn = from_polygons({xy}, height, width);
    check(drawn);
    REQUIRE(runs_of(iuq::test::dense_of(drawn)) == iuq::test::plain_polygon(xy, height, width));
  }
}

TEST_CASE("mask: the parts of a polygon are united", "[mask][property]") {
  Rng rng(9, "mask-parts");
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    std::vector<std::vector<double>> parts;
    Dense want{15, 18, std::vector<uint8_t>(15 * 18, 0)};
    for (int64_t n = 1 + rng.below(4); n > 0; --n) {
      std::vector<double> xy;
      for (int64_t k = 2 * (2 + rng.below(5)); k > 0; --k) xy.push_back(rng.uniform(-4, 22));
      parts.push_back(xy);
      const Dense part = iuq::test::dense_of(iuq::test::plain_polygon(xy, 15, 18));
      for (size_t p = 0; p < want.pixels.size(); ++p) want.pixels[p] |= part.pixels[p];
    }
    REQUIRE(runs_of(iuq::test::dense_of(from_polygons(parts, 15, 18))) == runs_of(want));
  }
}
