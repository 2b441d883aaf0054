// Compressed counts: measure() and the slow way agree, what is accepted survives a round trip, and areas, boxes, IoU and
// boundaries are those of the pixels. Input: "HEIGHT WIDTH DISTANCE COUNTS COUNTS".
#include <sstream>

#include "lib/base/error.h"
#include "lib/mask/rle.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/mask_oracle.h"

namespace iuq::fuzz {

std::vector<std::string> seeds() {
  return {"12 10 1 R35O0O0O0O000O0O0O00001O00M3N2d2 R35O0O0O0O0000P2",  "4 6 2 h0 :04N00h0",  "5 5 1 0i0 i0",
          "8 8 3 92624N2M3 0P2",  "1 1 1 01 1",  "0 5 1 0 0",  "65535 65535 1 0oooo3 oooo3",
          "10 10 2 ;8262627262626j0 T3",  "20 20 4 :n0o2 Q1421N2m7",  "4294967295 1 1 oooooo3 0oooooo3",  "3 3 1 132000 0000900"};
}

std::vector<std::string> tokens() {
  return {"0", "00", "o", "oooooo3", "PPPPPP0", "O", "1", " ", "0 ", " 0", "65536", "4294967296", "4294967295", "12 10 ", "P", "@", "M3", "N2"};
}

namespace {

using namespace iuq::mask;

constexpr uint32_t kFewPixels = 5000;

// The mask of these counts if they are sound; all ways of reading them agree on that.
bool read(const std::string& text, uint32_t height, uint32_t width, Rle& rle) {
  std::vector<uint32_t> counts, plain;
  Measures measures;
  const bool ok = measure(text, height, width, counts, measures);
  bool slow_ok = true;
  try {
    rle = from_string(text, height, width);
    (void)to_box(rle);
    check(rle);
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kBadData, "counts that are refused are bad data");
    slow_ok = false;
  }
  require(ok == slow_ok, "measure() accepts what from_string() and check() accept");
  uint64_t sum = 0;
  const bool readable = test::plain_counts(text, plain);
  for (const uint32_t run : plain) sum += run;
  require(ok == (readable && sum == uint64_t{height} * width && sum <= UINT32_MAX), "the plain reader accepts the same");
  if (!ok) return false;
  require(counts == plain && rle.counts == plain, "all readers see the same runs");
  require(measures.area == area(rle), "measure() has the area");
  const Box box = to_box(rle);
  require(double(measures.columns[0]) == box[0] && double(measures.columns[1]) == box[2], "measure() has the columns");
  require(from_string(to_string(rle), height, width) == rle, "what is accepted survives a round trip");
  return true;
}

bool has_empty_run(const Rle& rle) {
  return std::find(rle.counts.begin() + std::min<ptrdiff_t>(1, std::ssize(rle.counts)), rle.counts.end(), 0u) != rle.counts.end();
}

void check_pixels(const Rle& rle, uint32_t distance) {
  const test::Dense dense = test::dense_of(rle);
  require(area(rle) == dense.area(), "the area is that of the pixels");
  if (dense.area() > 0) require(to_box(rle) == test::plain_box(dense), "the box is that of the pixels");
  std::vector<uint8_t> pixels(dense.pixels.size() + 1);
  decode(rle, pixels.data());
  require(encode(pixels.data(), rle.height, rle.width) == test::runs_of(dense), "decoding and encoding gives canonical runs");
  if (dense.area() == 0) return;
  require(boundary(rle, distance) == test::runs_of(test::plain_boundary(dense, distance)), "the boundary is that of the pixels");
}

void check_pair(const Rle& a, const Rle& b) {
  const test::Dense dense_a = test::dense_of(a), dense_b = test::dense_of(b);
  for (const bool crowd : {false, true}) {
    const double overlap = iou_of_runs(a, b, crowd);
    require(overlap >= 0 && overlap <= 1, "IoU is in 0 .. 1");
    // Where both have a run of length 0 at one place, the reference stops there.
    if (has_empty_run(a) && has_empty_run(b)) continue;
    require(overlap == test::plain_iou(dense_a, dense_b, crowd), "IoU is that of the pixels");
  }
  if (has_empty_run(a) && has_empty_run(b)) return;
  for (const bool intersect : {false, true}) {
    test::Dense want = dense_a;
    for (size_t i = 0; i < want.pixels.size(); ++i) {
      want.pixels[i] = intersect ? dense_a.pixels[i] & dense_b.pixels[i] : dense_a.pixels[i] | dense_b.pixels[i];
    }
    require(test::runs_of(test::dense_of(merge({a, b}, intersect))) == test::runs_of(want), "merging is that of the pixels");
  }
}

}  // namespace
}  // namespace iuq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace iuq::fuzz;
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  uint32_t height = 0, width = 0, distance = 0;
  std::string first, second;
  in >> height >> width >> distance >> first >> second;
  iuq::mask::Rle a, b;
  const bool has_a = read(first, height, width, a), has_b = read(second, height, width, b);
  if (height > kFewPixels || width > kFewPixels || height * width > kFewPixels) return 0;
  if (has_a) check_pixels(a, distance % 8);
  if (has_b) check_pixels(b, distance % 8);
  if (has_a && has_b) check_pair(a, b);
  return 0;
}
