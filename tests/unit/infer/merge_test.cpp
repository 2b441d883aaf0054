#include "lib/infer/merge.h"

#include "tests/support/box_mask.h"
#include "tests/support/catch.h"

using namespace iuq;
using namespace iuq::infer;

namespace {

// Columns first..last-1 of a row of 100 pixels.
Detection span(double score, int64_t category, int64_t first, int64_t last) {
  return {score, category, test::box_mask({static_cast<double>(first), 0, static_cast<double>(last - first), 1}, 1, 100)};
}

// (score, first column, area) of each, readable in messages.
std::vector<std::vector<double>> told(const std::vector<Detection>& list) {
  std::vector<std::vector<double>> out;
  for (const Detection& d : list) out.push_back({d.score, mask::to_box(d.mask)[0], static_cast<double>(mask::area(d.mask))});
  return out;
}

using Told = std::vector<std::vector<double>>;

}  // namespace

TEST_CASE("merge: of two masks of a category that overlap the better stays, with its score", "[infer][property]") {
  const std::vector<Detection> plain = {span(.9, 1, 0, 50), span(.4, 1, 60, 100)};
  const std::vector<Detection> other = {span(.8, 1, 0, 48), span(.7, 1, 61, 100), span(.3, 2, 60, 100)};
  CHECK(told(merge_detections(plain, other, .6, 100)) == Told{{.9, 0, 50}, {.7, 61, 39}, {.3, 60, 40}});
  // An overlap of 48/50 is not above .96; a looser limit keeps both.
  CHECK(merge_detections(plain, other, .96, 100).size() == 4);
  CHECK(merge_detections(plain, other, 1, 100).size() == 5);
}

TEST_CASE("merge: equal scores keep the plain one; the order of the inputs decides among equals", "[infer][property]") {
  const auto merged = merge_detections({span(.5, 0, 0, 10)}, {span(.5, 0, 0, 11), span(.5, 0, 50, 60)}, .6, 100);
  CHECK(told(merged) == Told{{.5, 0, 10}, {.5, 50, 10}});
}

TEST_CASE("merge: the limit counts what is kept, and nothing is a list too", "[infer][property]") {
  const std::vector<Detection> plain = {span(.9, 0, 0, 10), span(.8, 0, 0, 10), span(.7, 0, 20, 30)};
  CHECK(told(merge_detections(plain, {span(.6, 0, 40, 50)}, .6, 2)) == Told{{.9, 0, 10}, {.7, 20, 10}});
  CHECK(merge_detections({}, {}, .6, 100).empty());
}
