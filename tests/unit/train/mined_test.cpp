#include "lib/train/mined.h"

#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "lib/model/segmenter.h"
#include "lib/train/batch_plan.h"
#include "lib/train/foreign_pixels.h"
#include "lib/uniq/memory.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using view::ViewTransform;

namespace {

constexpr view::Size kCanvas{64, 96};

// Mined pixels of instance 7 of image 1, as found for an instance of image 2.
uniq::Negatives negatives_at(const std::string& folder, const std::vector<std::pair<int64_t, int64_t>>& pixels) {
  uniq::NegativesTable table;
  table.provenance = io::Provenance("test", {}).to_json().dump();
  table.per_instance = static_cast<int64_t>(pixels.size());
  auto& instance = table.instances.emplace_back();
  instance.instance_id = 20;
  instance.image_id = 2;
  float score = 0.9F;
  for (const auto& [x, y] : pixels) instance.pixels.push_back({1, 7, x, y, score -= 0.01F});
  uniq::write_negatives(folder + "/negatives.h5", table);
  return uniq::Negatives::load(folder + "/negatives.h5");
}

// Where a pixel is after a transform: it is the only one of a mask that is set, and the mask is transformed.
std::pair<int64_t, int64_t> oracle(const ViewTransform& g, int64_t x, int64_t y) {
  at::Tensor mask = torch::zeros({1, kCanvas.height, kCanvas.width}, at::kBool);
  mask[0][y][x] = true;
  const at::Tensor found = at::nonzero(g.apply_masks(mask)[0]);  // [n, 2] row and column
  if (found.size(0) == 0) return {-1, -1};
  return {found[0][1].item<int64_t>(), found[0][0].item<int64_t>()};
}

}  // namespace

TEST_CASE("mined: hard pixels follow flips and crops, as a mask of that one pixel does", "[train][property]") {
  const test::TempFolder folder;
  const std::vector<std::pair<int64_t, int64_t>> pixels = {{0, 0}, {4, 60}, {52, 8}, {92, 32}, {40, 36}};
  const uniq::Negatives negatives = negatives_at(folder.path(), pixels);
  struct Case {
    const char* name;
    ViewTransform g;
    std::function<std::pair<int64_t, int64_t>(int64_t, int64_t)> formula;
  };
  using view::Alignment;
  const auto strided = ViewTransform::flip_x(kCanvas, Alignment::kStrided);
  const auto crop = ViewTransform::crop(kCanvas, 32, 32, 1);
  using XY = std::pair<int64_t, int64_t>;
  const std::vector<Case> cases = {
      {"none", ViewTransform::identity(kCanvas), [](int64_t x, int64_t y) { return XY(x, y); }},
      {"aligned flip", strided, [](int64_t x, int64_t y) { return XY(96 - x, y); }},
      {"plain flip", ViewTransform::flip_x(kCanvas, Alignment::kPatch), [](int64_t x, int64_t y) { return XY(95 - x, y); }},
      {"aligned vertical flip", ViewTransform::flip_y(kCanvas, Alignment::kStrided),
       [](int64_t x, int64_t y) { return XY(x, 64 - y); }},
      {"crop", crop, [](int64_t x, int64_t y) { return XY(x - 32, y - 32); }},
      {"crop, then flip", crop.then(strided), [](int64_t x, int64_t y) { return XY(96 - (x - 32), y - 32); }},
      {"flip, then crop", strided.then(crop), [](int64_t x, int64_t y) { return XY(96 - x - 32, y - 32); }},
  };
  for (const Case& c : cases) {
    const auto found = train::hard_pixels(negatives, 7, c.g);
    REQUIRE(found.size() == pixels.size());
    for (size_t i = 0; i < pixels.size(); ++i) {
      const auto [x, y] = c.formula(pixels[i].first, pixels[i].second);
      CAPTURE(c.name, i, x, y);
      CHECK(found[i].first == static_cast<float>(x));
      CHECK(found[i].second == static_cast<float>(y));
      const auto [column, row] = oracle(c.g, pixels[i].first, pixels[i].second);
      const bool inside = x >= 0 && y >= 0 && x < kCanvas.width && y < kCanvas.height;
      CHECK(column == (inside ? x : -1));
      CHECK(row == (inside ? y : -1));
    }
  }
  CHECK(train::hard_pixels(negatives, 20, crop).empty());
}

TEST_CASE("mined: hard pixels of a crop that is enlarged are enlarged with it", "[train]") {
  const test::TempFolder folder;
  const uniq::Negatives negatives = negatives_at(folder.path(), {{40, 36}});
  const auto found = train::hard_pixels(negatives, 7, ViewTransform::crop(kCanvas, 32, 32, 2));
  const auto [column, row] = oracle(ViewTransform::crop(kCanvas, 32, 32, 2), 40, 36);
  CHECK(std::abs(found.at(0).first - static_cast<float>(column)) <= 1);
  CHECK(std::abs(found.at(0).second - static_cast<float>(row)) <= 1);
}

TEST_CASE("mined: the memory takes the hard pixels of an instance, in its view, before others", "[train][property]") {
  test::TinyRun run;
  run.use_cache();
  run.job.uniq.hard_share = 0.5;
  run.job.uniq.pixels_per_instance = 2;  // one of them hard
  const test::Pieces pieces(run.job);
  int64_t looked_at = 0;
  for (int64_t step = 0; step < 6; ++step) {
    const train::Batch batch = pieces.source->make({step % 6, (step + 3) % 6}, step);
    const auto encoded = pieces.segmenter->encode(batch.features, batch.frame);
    const auto queries = pieces.segmenter->assign(encoded, batch.truth);
    train::ForeignPixels foreign(run.job.uniq, pieces.negatives.get(), at::kCPU, 0);
    foreign.push(*pieces.segmenter, batch, encoded.mask_features, queries, step);
    const uniq::PixelBatch kept = foreign.entries();
    int64_t row = 0;
    for (size_t b = 0; b < batch.truth.size(); ++b) {
      const at::Tensor cells = pieces.segmenter->instance_cells(batch.truth[b]);
      for (int64_t n = 0; n < batch.truth[b].count(); ++n) {
        const int64_t first = row;  // that of the hard one, if there is one
        row += std::min<int64_t>(2, cells[n].sum().item<int64_t>());
        const int64_t id = batch.truth[b].instance_ids[static_cast<size_t>(n)];
        const auto hard = train::hard_pixels(*pieces.negatives, id, batch.to_view[b]);
        if (hard.empty()) continue;
        const auto x = static_cast<int64_t>(hard[0].first), y = static_cast<int64_t>(hard[0].second);
        const bool inside = x >= 0 && y >= 0 && x < 64 && y < 64 && cells[n][y / 4][x / 4].item<bool>();
        if (!inside) continue;
        CAPTURE(step, b, n);
        CHECK(kept.pixels.position[first][0].item<float>() == hard[0].first);
        CHECK(kept.pixels.position[first][1].item<float>() == hard[0].second);
        const at::Tensor map = encoded.mask_features[static_cast<int64_t>(b)];  // [D, H, W]
        CHECK(at::equal(kept.pixels.embeddings[first], map.select(1, y / 4).select(1, x / 4)));
        ++looked_at;
      }
    }
    REQUIRE(row == kept.count());
  }
  CHECK(looked_at >= 12);
}

TEST_CASE("mined: batches bring together the scenes that were confused, by the indices of the data set",
          "[train][property]") {
  test::TinyRun run;
  run.use_cache();
  const test::Pieces pieces(run.job);
  const train::HardScenes hard = train::hard_scenes(*pieces.negatives, pieces.dataset);
  for (int64_t i = 0; i < 6; ++i) CHECK(hard(i) == std::vector<int64_t>{(i + 1) % 6});
  std::vector<int64_t> images(6);
  std::iota(images.begin(), images.end(), 0);
  const auto one_bucket = [](int64_t) { return int64_t{0}; };
  train::BatchPlan plan(data::EpochSampler(images, 1), one_bucket, 2, hard);
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    std::set<int64_t> seen;
    for (int64_t step = 0; step < 3; ++step) {
      const auto batch = plan.at(3 * epoch + step);
      const int64_t wanted = (batch[0] + 1) % 6;
      if (seen.count(wanted) == 0) CHECK(batch[1] == wanted);
      seen.insert(batch.begin(), batch.end());
    }
    CHECK(seen.size() == 6);
  }

  // Scenes of a data set that is smaller now are left out.
  nlohmann::json json = nlohmann::json::parse(test::read_bytes(run.job.annotations));
  json["images"].erase(5);
  const int64_t gone = pieces.dataset.images()[5].id;
  auto& annotations = json["annotations"];
  for (size_t i = annotations.size(); i-- > 0;) {
    if (annotations[i]["image_id"] == gone) annotations.erase(i);
  }
  test::write_bytes(run.folder / "fewer.json", json.dump());
  const auto fewer = data::Dataset::load(run.folder / "fewer.json");
  const train::HardScenes some = train::hard_scenes(*pieces.negatives, fewer);
  CHECK(some(4).empty());
  CHECK(some(0) == std::vector<int64_t>{1});
}
