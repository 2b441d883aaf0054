#include "lib/uniq/mine.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/cache/cache_features.h"
#include "lib/data/annotations.h"
#include "lib/io/provenance.h"
#include "lib/uniq/top_pixels.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_dataset.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;

namespace {

// A tiny segmenter, a data set, and its cache.
struct Fixture {
  test::TempFolder folder;
  data::Dataset dataset;
  std::shared_ptr<model::Segmenter> segmenter = model::make_segmenter(test::tiny_model(), 2, 1);
  view::InputConfig input;
  std::unique_ptr<cache::FeatureStore> store;

  Fixture(int64_t images, int64_t instances) : dataset(make(folder.path(), images, instances)) {
    segmenter->eval();
    input.short_side = {64};
    input.long_side = 128;
    cache::CacheConfig config;
    config.views = 1;
    config.dtype = "float32";
    cache::Backbone backbone;
    backbone.features = [this](const at::Tensor& batch) { return segmenter->backbone(batch); };
    backbone.channels = segmenter->backbone_channels();
    backbone.digest = cache::weights_digest(*segmenter, segmenter->backbone_prefix());
    const cache::CacheJob job{dataset, folder.path(), input, {}, config, 0, {}};
    auto plan = cache::plan_features(job, backbone, io::Provenance("test", {}).to_json());
    cache::cache_features(job, backbone, plan, folder / "f.h5", false);
    store = std::make_unique<cache::FeatureStore>(cache::FeatureStore::open({folder / "f.h5"}));
  }
  static data::Dataset make(const std::string& path, int64_t images, int64_t instances) {
    std::vector<std::pair<int64_t, int64_t>> sizes;
    for (int64_t i = 0; i < images; ++i) sizes.emplace_back(64, i % 2 ? 96 : 64);
    test::write_tiny_dataset(path, sizes, instances);
    return data::Dataset::load(path + "/annotations.json");
  }
  uniq::MineJob job(Shard shard = {}) const {
    uniq::MineConfig config;
    config.negatives_per_instance = 5;
    config.scenes_per_image = 3;
    return {dataset, *store, *segmenter, input, config, 0, c10::kCPU, shard};
  }
};

struct Found {
  std::vector<uniq::Hit> hits;          // of all foreign pixels, hardest first
  std::map<int64_t, double> image_max;  // largest score per foreign image
};

// Everything at once: for each instance, its query on every cell of every instance of every other image.
std::map<int64_t, Found> brute_force(const Fixture& f) {
  const at::NoGradGuard no_grad;
  struct One {
    view::Instances truth;
    at::Tensor map;  // [D, H, W]
    model::Queries queries;
  };
  std::vector<One> all;
  for (int64_t i = 0; i < std::ssize(f.dataset.images()); ++i) {
    One one;
    one.truth = view::load_truth(f.dataset, i, f.input, 64, false).truth;
    const cache::StoredView stored = f.store->read(one.truth.image_id, 0);
    model::FeaturePyramid levels;
    for (const at::Tensor& level : stored.levels) levels.push_back(level.unsqueeze(0));
    const model::Encoded encoded = f.segmenter->encode(levels, {stored.canvas, {stored.valid}});
    one.queries = f.segmenter->assign(encoded, {one.truth});
    one.map = encoded.mask_features[0];
    all.push_back(one);
  }
  std::map<int64_t, Found> found;
  for (const One& own : all) {
    for (int64_t n = 0; n < own.truth.count(); ++n) {
      int64_t best = -1;
      for (int64_t q = 0; q < own.queries.count(); ++q) {
        if (own.queries.instance[q].item<int64_t>() != n) continue;
        if (best < 0 || own.queries.score[q].item<float>() > own.queries.score[best].item<float>()) best = q;
      }
      if (best < 0) continue;
      Found& result = found[own.truth.instance_ids[size_t(n)]];
      for (const One& other : all) {
        if (other.truth.image_id == own.truth.image_id) continue;
        const at::Tensor logits = at::einsum("d,dhw->hw", {own.queries.vectors[best], other.map});
        const at::Tensor cells = f.segmenter->instance_cells(other.truth);
        for (int64_t m = 0; m < other.truth.count(); ++m) {
          const at::Tensor where = at::nonzero(cells[m]);
          for (int64_t c = 0; c < where.size(0); ++c) {
            const int64_t y = where[c][0].item<int64_t>(), x = where[c][1].item<int64_t>();
            const float logit = logits[y][x].item<float>();
            result.hits.push_back({logit, {other.truth.image_id, other.truth.instance_ids[size_t(m)], 4 * x, 4 * y}});
            double& largest = result.image_max[other.truth.image_id];
            largest = std::max(largest, 1 / (1 + std::exp(-double(logit))));
          }
        }
      }
      std::sort(result.hits.begin(), result.hits.end(), uniq::harder);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("mine: the hardest foreign pixels and scenes are those of the full table", "[uniq][property]") {
  const Fixture f(5, 2);
  const auto expected = brute_force(f);
  const uniq::NegativesTable table = uniq::mine_negatives(f.job());
  REQUIRE(table.instances.size() == expected.size());
  REQUIRE(expected.size() >= 5);
  std::map<int64_t, std::vector<int64_t>> instances_of;
  for (const auto& instance : table.instances) {
    const Found& found = expected.at(instance.instance_id);
    instances_of[instance.image_id].push_back(instance.instance_id);
    REQUIRE(instance.pixels.size() == 5);
    for (size_t k = 0; k < 5; ++k) {
      const double score = 1 / (1 + std::exp(-double(found.hits[k].logit)));
      CHECK(instance.pixels[k].score == Approx(score).epsilon(1e-4));
      CHECK(instance.pixels[k].image_id != instance.image_id);
    }
    // The very pixels agree wherever rounding cannot have swapped neighbours.
    const bool clear = found.hits[0].logit - found.hits[1].logit > 1e-4f;
    if (clear) CHECK(instance.pixels[0].instance_id == found.hits[0].pixel.instance_id);
  }
  REQUIRE(table.images.size() == instances_of.size());
  for (const auto& image : table.images) {
    std::map<int64_t, double> mean;
    const auto& own = instances_of.at(image.image_id);
    for (const int64_t id : own) {
      for (const auto& [other, score] : expected.at(id).image_max) mean[other] += score / double(own.size());
    }
    std::vector<double> scores;
    for (const auto& [other, score] : mean) scores.push_back(score);
    std::sort(scores.rbegin(), scores.rend());
    REQUIRE(image.images.size() == 3);
    for (size_t s = 0; s < 3; ++s) {
      CHECK(image.images[s].score == Approx(scores[s]).epsilon(1e-4));
      CHECK(image.images[s].score == Approx(mean.at(image.images[s].image_id)).epsilon(1e-4));
    }
  }
}

TEST_CASE("mine: shards find exactly what one run finds", "[uniq][property]") {
  const Fixture f(9, 70);  // more instances than a block takes
  const uniq::NegativesTable whole = uniq::mine_negatives(f.job());
  std::map<int64_t, std::vector<uniq::HardPixel>> pixels;
  std::map<int64_t, std::vector<uniq::ConfusableImage>> images;
  size_t shards_with_work = 0;
  for (int64_t i = 0; i < 2; ++i) {
    const uniq::NegativesTable part = uniq::mine_negatives(f.job({i, 2}));
    shards_with_work += !part.instances.empty();
    for (const auto& instance : part.instances) CHECK(pixels.emplace(instance.instance_id, instance.pixels).second);
    for (const auto& image : part.images) CHECK(images.emplace(image.image_id, image.images).second);
  }
  CHECK(shards_with_work == 2);
  REQUIRE(pixels.size() == whole.instances.size());
  for (const auto& instance : whole.instances) CHECK((pixels.at(instance.instance_id) == instance.pixels));
  REQUIRE(images.size() == whole.images.size());
  for (const auto& image : whole.images) CHECK((images.at(image.image_id) == image.images));
}

TEST_CASE("mine: a limit on candidates draws the same ones again", "[uniq][property]") {
  const Fixture f(4, 2);
  auto job = f.job();
  job.mine.pixels_per_instance = 3;
  const uniq::NegativesTable a = uniq::mine_negatives(job), b = uniq::mine_negatives(job);
  REQUIRE(a.instances.size() == b.instances.size());
  for (size_t n = 0; n < a.instances.size(); ++n) {
    CHECK((a.instances[n].pixels == b.instances[n].pixels));
    std::map<int64_t, int64_t> of_instance;
    for (const auto& pixel : a.instances[n].pixels) CHECK(++of_instance[pixel.instance_id] <= 3);
  }
}

TEST_CASE("mine: a cache of another backbone or another size is refused", "[uniq][error]") {
  Fixture f(2, 1);
  {
    auto job = f.job();
    job.input.short_side = {96};
    CHECK(test::error_of([&] { uniq::mine_negatives(job); }).find("section \"input\"") != std::string::npos);
  }
  const auto other = model::make_segmenter(test::tiny_model(), 2, 2);
  const uniq::MineJob job{f.dataset, *f.store, *other, f.input, {}, 0, c10::kCPU, {}};
  CHECK(test::error_of([&] { uniq::check_mine_job(job); }).find("another backbone") != std::string::npos);
}
