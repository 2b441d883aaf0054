#include "lib/train/batch_source.h"

#include <torch/types.h>

#include <cmath>
#include <optional>

#include "lib/data/annotations.h"
#include "tests/support/catch.h"
#include "tests/support/ramp_dataset.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using test::Ramp;

namespace {

struct Fixture {
  test::TempFolder folder;
  data::Dataset dataset = make(folder.path());
  train::SourceOptions options{dataset, folder.path(), Ramp::input(), {}, {}, view::Alignment::kStrided, 3};

  static data::Dataset make(const std::string& folder) {
    Ramp::write(folder, 4);
    return data::Dataset::load(folder + "/annotations.json");
  }
};

struct Cell {
  int64_t column, row;
};

// Where a pixel of the test image is in a view; nothing at the border and outside.
std::optional<Cell> seen(const view::ViewTransform& g, double x, double y) {
  const Cell at{std::lround(g.x.scale * x + g.x.offset), std::lround(g.y.scale * y + g.y.offset)};
  const bool inside = at.column >= 1 && at.row >= 1 && at.column < g.size.width - 1 && at.row < g.size.height - 1;
  return inside ? std::optional(at) : std::nullopt;
}

// Every pixel of an image that came from inside the instance is blue, and to_view says where it came from. The second
// image of a pair shows only what the first one does.
void check_views(const train::Batch& batch) {
  const size_t firsts = batch.truth.size() - batch.pairs.size();
  for (size_t b = 0; b < batch.truth.size(); ++b) {
    const view::ViewTransform& g = batch.to_view[b];
    const at::Tensor image = batch.images[static_cast<int64_t>(b)];
    REQUIRE(g.size == batch.frame.canvas);
    const view::Instances& truth = batch.truth[b];
    for (double y = 80; y < 130; y += 12) {
      for (double x = 60; x < 120; x += 12) {  // inside the disc at test size, which is 1.5 times the file's
        REQUIRE(Ramp::inside((x + 0.5) / 1.5 - 0.5, (y + 0.5) / 1.5 - 0.5));
        const auto at = seen(g, x, y);
        if (!at || (b >= firsts && !seen(batch.to_view[b - firsts], x, y))) continue;
        const auto [column, row] = *at;
        CAPTURE(b, x, y, at->column, at->row);
        REQUIRE(image[2][row][column].item<float>() > 127);
        if (truth.count() == 1) REQUIRE(truth.masks[0][row][column].item<bool>());
      }
    }
  }
}

}  // namespace

TEST_CASE("batch_source: jittered images, with and without pairs, agree with to_view and pairs", "[train][property]") {
  Fixture f;
  f.options.input.lsj.size = 256;
  f.options.input.lsj.min_scale = 0.5;
  f.options.train.min_pixels = 1;
  for (const bool pairs : {false, true}) {
    f.options.train.pairs = pairs;
    const auto source = train::image_source(f.options);
    REQUIRE(source->bucket_of(0) == source->bucket_of(3));
    for (int64_t step = 0; step < 6; ++step) {
      CAPTURE(pairs, step);
      const train::Batch batch = source->make({0, 2, 1, 2}, step);
      const size_t count = pairs ? 8 : 4;
      REQUIRE(batch.images.sizes() == at::IntArrayRef({static_cast<int64_t>(count), 3, 256, 256}));
      REQUIRE(batch.truth.size() == count);
      REQUIRE(batch.frame.valid.size() == count);
      REQUIRE(batch.pairs.size() == (pairs ? 4 : 0));
      check_views(batch);
      for (size_t i = 0; i < batch.pairs.size(); ++i) {
        const at::Tensor again = batch.pairs[i].apply_image(batch.images[static_cast<int64_t>(i)]);
        REQUIRE(at::equal(again, batch.images[static_cast<int64_t>(i + 4)]));
      }
      // The same image twice in a batch is jittered twice.
      REQUIRE_FALSE(at::equal(batch.images[1], batch.images[3]));
      REQUIRE(at::equal(source->make({0, 2, 1, 2}, step).images, batch.images));
    }
  }
}

TEST_CASE("batch_source: resized and mirrored images agree with to_view", "[train][property]") {
  Fixture f;
  const auto source = train::image_source(f.options);
  for (int64_t step = 0; step < 8; ++step) {
    CAPTURE(step);
    check_views(source->make({0, 1}, step));
  }
}
