#include "lib/train/batch_plan.h"

#include <map>
#include <numeric>

#include "tests/support/catch.h"

using namespace iuq;
using namespace iuq::train;

namespace {

std::vector<int64_t> numbers(int64_t n) {
  std::vector<int64_t> out(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

int64_t bucket(int64_t image) { return image % 3; }

}  // namespace

TEST_CASE("batch plan: an epoch shows every image, and batches do not mix buckets", "[train][property]") {
  BatchPlan plan(data::EpochSampler(numbers(20), 1), bucket, 4, {});
  // Buckets of 7, 7 and 6 images make 2 batches each.
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::map<int64_t, int64_t> seen;
    for (int64_t step = 0; step < 6; ++step) {
      const auto batch = plan.at(epoch * 6 + step);
      REQUIRE(batch.size() == 4);
      for (const int64_t image : batch) {
        REQUIRE(bucket(image) == bucket(batch[0]));
        ++seen[image];
      }
    }
    REQUIRE(seen.size() == 20);
  }
}

TEST_CASE("batch plan: starting late gives the same batches", "[train][property]") {
  BatchPlan whole(data::EpochSampler(numbers(50), 7), bucket, 4, {});
  BatchPlan late(data::EpochSampler(numbers(50), 7), bucket, 4, {});
  std::vector<std::vector<int64_t>> all;
  for (int64_t step = 0; step < 60; ++step) all.push_back(whole.at(step));
  for (int64_t step = 33; step < 60; ++step) REQUIRE(late.at(step) == all[static_cast<size_t>(step)]);
}

TEST_CASE("batch plan: scenes that are confused meet, and the epoch stays whole", "[train][property]") {
  // Image 2k is confused with 2k + 1 and the other way round.
  const auto confusable = [](int64_t image) { return std::vector<int64_t>{image ^ 1}; };
  const auto one_bucket = [](int64_t) { return int64_t{0}; };
  BatchPlan plan(data::EpochSampler(numbers(32), 3), one_bucket, 4, confusable);
  std::map<int64_t, int64_t> seen;
  int64_t together = 0;
  for (int64_t step = 0; step < 8; ++step) {
    const auto batch = plan.at(step);
    for (const int64_t image : batch) {
      ++seen[image];
      for (const int64_t other : batch) together += other == (image ^ 1) ? 1 : 0;
    }
  }
  REQUIRE(seen.size() == 32);
  REQUIRE(together >= 16);  // each batch opens with a pair; at random it would be 3 of 31 per image
}

TEST_CASE("batch plan: a bucket smaller than a batch repeats its images", "[train]") {
  BatchPlan plan(data::EpochSampler(numbers(1), 0), bucket, 4, {});
  REQUIRE(plan.at(0) == std::vector<int64_t>{0, 0, 0, 0});
}
