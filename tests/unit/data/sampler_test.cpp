#include "lib/data/sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/unit/data/temp_folder.h"

namespace {

using namespace iuq::data;
using nlohmann::json;

/// `images[i]` lists the category ids of image i; a negative one is a crowd.
Dataset make_set(const std::vector<std::vector<int64_t>>& images) {
  json set = {{"images", json::array()}, {"annotations", json::array()},
              {"categories", {{{"id", 1}, {"name", "a"}}, {{"id", 2}, {"name", "b"}}, {{"id", 3}, {"name", "c"}}}}};
  for (size_t i = 0; i < images.size(); ++i) {
    set["images"].push_back({{"id", i}, {"file_name", "x.png"}, {"height", 10}, {"width", 10}});
    for (const int64_t category : images[i]) {
      set["annotations"].push_back({{"id", set["annotations"].size()}, {"image_id", i}, {"category_id", std::abs(category)},
                                    {"iscrowd", category < 0 ? 1 : 0}, {"segmentation", {{1, 1, 5, 1, 5, 5}}}});
    }
  }
  const iuq::test::TempFolder folder;
  return Dataset::load(folder.write("set.json", set.dump()));
}

std::vector<int64_t> numbers(int64_t n) {
  std::vector<int64_t> out(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), int64_t{100});
  return out;
}

}  // namespace

TEST_CASE("sampler: every epoch is a permutation, and no two are alike", "[data][property]") {
  EpochSampler sampler(numbers(17), 3);
  std::vector<std::vector<int64_t>> epochs(4);
  for (int64_t p = 0; p < 4 * 17; ++p) epochs[static_cast<size_t>(sampler.epoch_of(p))].push_back(sampler.at(p));
  for (size_t e = 0; e < 4; ++e) {
    for (size_t f = 0; f < e; ++f) CHECK(epochs[e] != epochs[f]);
    auto sorted = epochs[e];
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == numbers(17));
  }
}

TEST_CASE("sampler: a position gives the same item whatever was asked before", "[data][property]") {
  std::vector<double> repeats;
  for (int i = 0; i < 23; ++i) repeats.push_back(1 + 0.37 * (i % 5));
  for (const bool with_repeats : {false, true}) {
    const auto weights = with_repeats ? repeats : std::vector<double>{};
    EpochSampler forward(numbers(23), 9, weights), backward(numbers(23), 9, weights), other_seed(numbers(23), 10, weights);
    std::vector<int64_t> order;
    for (int64_t p = 0; p < 300; ++p) order.push_back(forward.at(p));
    bool differs = false;
    for (int64_t p = 299; p >= 0; --p) {
      REQUIRE(backward.at(p) == order[static_cast<size_t>(p)]);
      differs = differs || other_seed.at(p) != order[static_cast<size_t>(p)];
    }
    CHECK(differs);
  }
}

TEST_CASE("sampler: items come as often as their repeat factor says", "[data][property]") {
  EpochSampler sampler({1, 2, 3}, 5, {1.0, 2.5, 1.25});
  const int64_t epochs = 2000;
  std::map<int64_t, int64_t> count;
  int64_t position = 0;
  for (int64_t e = 0; e < epochs; ++e) {
    std::map<int64_t, int64_t> here;
    for (int64_t i = sampler.epoch_length(e); i > 0; --i) {
      REQUIRE(sampler.epoch_of(position) == e);
      ++here[sampler.at(position++)];
    }
    REQUIRE(here[1] == 1);
    REQUIRE((here[2] == 2 || here[2] == 3));
    REQUIRE((here[3] == 1 || here[3] == 2));
    for (const auto& [item, n] : here) count[item] += n;
  }
  CHECK(static_cast<double>(count[2]) / epochs == Approx(2.5).margin(0.05));  // 4.5 deviations
  CHECK(static_cast<double>(count[3]) / epochs == Approx(1.25).margin(0.05));
}

TEST_CASE("sampler: images with nothing but crowds are dropped when asked", "[data][property]") {
  const Dataset set = make_set({{1}, {}, {-2}, {-2, 3}});
  CHECK(training_images(set, true) == std::vector<int64_t>{0, 3});
  CHECK(training_images(set, false) == std::vector<int64_t>{0, 1, 2, 3});
}

TEST_CASE("sampler: subsets are nested, keep the order, and do not depend on the place in the file", "[data][property]") {
  const Dataset set = make_set(std::vector<std::vector<int64_t>>(40, {1}));
  std::vector<int64_t> all(40);
  std::iota(all.begin(), all.end(), int64_t{0});
  std::vector<int64_t> before;
  for (int64_t count = 1; count <= 40; ++count) {
    const std::vector<int64_t> subset = nested_subset(set, all, count);
    REQUIRE(static_cast<int64_t>(subset.size()) == count);
    REQUIRE(std::is_sorted(subset.begin(), subset.end()));
    REQUIRE(std::includes(subset.begin(), subset.end(), before.begin(), before.end()));
    before = subset;
  }
  CHECK(before == all);
  CHECK(nested_subset(set, all, 41) == all);
  const std::vector<int64_t> first_ten(all.begin(), all.begin() + 10);
  CHECK(nested_subset(set, all, 10) != first_ten);

  // The same images listed in another order.
  std::vector<int64_t> odd_first;
  for (const int64_t start : {1, 0}) {
    for (int64_t i = start; i < 40; i += 2) odd_first.push_back(i);
  }
  std::vector<int64_t> other = nested_subset(set, odd_first, 10);
  std::sort(other.begin(), other.end());
  CHECK(other == nested_subset(set, all, 10));
}

TEST_CASE("sampler: repeat factors follow the rarest category", "[data][golden]") {
  // Of 4 images, category 1 is in all (f = 1), 2 in one (f = 1/4), 3 is a crowd only. Threshold 1/2: sqrt(2) for 2.
  const Dataset set = make_set({{1, 1}, {1, 2, 2}, {1}, {1, -3}});
  const auto factors = repeat_factors(set, {0, 1, 2, 3}, 0.5);
  CHECK(factors[0] == 1);
  CHECK(factors[1] == Approx(std::sqrt(2.0)));
  CHECK(factors[3] == 1);
  CHECK(repeat_factors(set, {0, 1, 2, 3}, 0) == std::vector<double>(4, 1.0));
}

TEST_CASE("sampler: no image at all is an error, not a loop", "[data][error]") {
  CHECK(iuq::test::fails_with(iuq::ErrorCode::kBadData, {"no image"}, [] { EpochSampler({}, 0); }));
}
