#include <torch/torch.h>

#include <cmath>
#include <set>

#include "lib/train/batch_source.h"
#include "tests/support/ramp_dataset.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using test::Ramp;

namespace {

// Features that say where they come from: means of red (the column), green (the row) and blue (the instance) over patches.
std::vector<at::Tensor> patch_means(const at::Tensor& images) {
  std::vector<at::Tensor> levels;
  for (int64_t s = 4; s <= 32; s *= 2) levels.push_back(at::avg_pool2d(images, {s, s}));
  return levels;
}

struct CachedFixture {
  test::TempFolder folder;
  data::Dataset dataset = make(folder.path());
  train::SourceOptions options{dataset, "", Ramp::input(), {}, {}, view::Alignment::kPatch, 3};

  explicit CachedFixture(int64_t views = 4) {
    log::set_up("test", log::Level::kQuiet);
    cache::Backbone backbone;
    backbone.features = patch_means;
    backbone.channels = {3, 3, 3, 3};
    backbone.alignment = view::Alignment::kPatch;
    backbone.digest = "backbone";
    cache::CacheConfig config;
    config.views = views;
    config.dtype = "float32";
    const cache::CacheJob job{dataset, folder.path(), options.input, options.view, config, 0, {}};
    cache::cache_features(job, backbone, cache::plan_features(job, backbone, io::Provenance("test", {}).to_json()),
                          folder / "f.h5", false);
    options.train.min_pixels = 1;
  }
  static data::Dataset make(const std::string& folder) {
    Ramp::write(folder, 4);
    return data::Dataset::load(folder + "/annotations.json");
  }
  std::shared_ptr<const cache::FeatureStore> store() const {
    return std::make_shared<cache::FeatureStore>(cache::FeatureStore::open({folder / "f.h5"}));
  }
};

// The colour of the file's pixel that is shown at (x, y) of the image at test size, which is 1.5 times the file's.
double in_file(double at_test_size) { return (at_test_size + 0.5) / 1.5 - 0.5; }

// Every cell of every level came from where to_view says. Returns how many were looked at.
int64_t check_positions(const train::Batch& batch) {
  int64_t looked_at = 0;
  for (size_t b = 0; b < batch.truth.size(); ++b) {
    const view::ViewTransform& g = batch.to_view[b];
    for (const at::Tensor& level : batch.features) {
      const at::Tensor map = level[static_cast<int64_t>(b)];
      const auto s = static_cast<double>(batch.frame.canvas.height / map.size(1));
      for (int64_t row = 0; row < map.size(1); ++row) {
        for (int64_t column = 0; column < map.size(2); ++column) {
          const double x = (s * static_cast<double>(column) + (s - 1) / 2 - g.x.offset) / g.x.scale;
          const double y = (s * static_cast<double>(row) + (s - 1) / 2 - g.y.offset) / g.y.scale;
          if (x < s || y < s || x > 239 - s || y > 179 - s) continue;  // at the border a patch holds less
          CAPTURE(b, s, column, row, x, y);
          CHECK(std::abs(map[0][row][column].item<double>() - Ramp::red(in_file(x))) < 1);
          CHECK(std::abs(map[1][row][column].item<double>() - Ramp::green(in_file(y))) < 1);
          ++looked_at;
        }
      }
    }
    // The masks lie where the features show the instance.
    const at::Tensor mask = batch.truth[b].count() == 1 ? batch.truth[b].masks.to(at::kFloat) : torch::zeros({1, 192, 256});
    const at::Tensor difference = at::avg_pool2d(mask, {4, 4})[0] - batch.features[0][static_cast<int64_t>(b)][2] / 255;
    CHECK(difference.abs().mean().item<double>() < 0.01);
  }
  return looked_at;
}

}  // namespace

TEST_CASE("cached source: features, masks, to_view and pairs tell of the same views", "[train][property]") {
  CachedFixture f;
  f.options.train.pairs = true;
  const auto source = train::cached_source(f.options, f.store());
  CHECK(source->bucket_of(0) == source->bucket_of(3));
  int64_t looked_at = 0;
  for (int64_t step = 0; step < 4; ++step) {
    CAPTURE(step);
    const train::Batch batch = source->make({0, 2, 1, 2}, step);
    REQUIRE_FALSE(batch.images.defined());
    REQUIRE(batch.features.size() == 4);
    REQUIRE(batch.features[0].sizes() == at::IntArrayRef({8, 3, 48, 64}));
    REQUIRE(batch.truth.size() == 8);
    REQUIRE(batch.pairs.size() == 4);
    CHECK((batch.frame.canvas == view::Size{192, 256}));
    looked_at += check_positions(batch);
    for (size_t i = 0; i < 8; ++i) {
      const bool whole = batch.to_view[i].is_identity();
      CHECK((batch.frame.valid[i] == (whole ? view::Size{180, 240} : batch.frame.canvas)));
      CHECK(batch.truth[i].image_id == batch.truth[(i + 4) % 8].image_id);
    }
    for (size_t i = 0; i < 4; ++i) {
      const view::ViewTransform second = batch.to_view[i].then(batch.pairs[i]);
      CHECK_FALSE(batch.pairs[i].is_identity());
      const view::ViewTransform& wanted = batch.to_view[i + 4];
      for (const auto& [one, other] : {std::pair(second.x, wanted.x), std::pair(second.y, wanted.y)}) {
        CHECK(one.scale == Approx(other.scale));
        CHECK(one.offset == Approx(other.offset).margin(1e-9));
      }
    }
    CHECK(at::equal(source->make({0, 2, 1, 2}, step).features[1], batch.features[1]));
  }
  CHECK(looked_at > 10000);
}

TEST_CASE("cached source: without pairs an image is whole unless it is augmented", "[train][property]") {
  CachedFixture f;
  const auto views_of = [&](double augment) {
    f.options.train.augment = augment;
    const auto source = train::cached_source(f.options, f.store());
    int64_t transformed = 0;
    for (int64_t step = 0; step < 8; ++step) {
      const train::Batch batch = source->make({0, 1}, step);
      REQUIRE(batch.pairs.empty());
      for (const view::ViewTransform& g : batch.to_view) transformed += !g.is_identity();
    }
    return transformed;
  };
  CHECK(views_of(0) == 0);
  CHECK(views_of(1) >= 8);  // of 16; one of four views is the whole image
}

TEST_CASE("cached source: what does not fit is refused", "[train][error]") {
  CachedFixture one_view(1);
  one_view.options.train.pairs = true;
  const std::string too_few =
      test::refusal(ErrorCode::kBadData, [&] { train::cached_source(one_view.options, one_view.store()); });
  CHECK(test::contains(too_few, "two views"));
  one_view.options.train.pairs = false;
  one_view.options.input.short_side = {96};
  const auto source = train::cached_source(one_view.options, one_view.store());
  const std::string said = test::refusal(ErrorCode::kBadData, [&] { source->make({0}, 0); });
  CHECK(test::contains(said, "180x240"));
  CHECK(test::contains(said, "96x128"));
}
