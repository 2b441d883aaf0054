#include "lib/uniq/memory.h"

#include <map>
#include <set>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::uniq;

namespace {

// Rows first, first + 1, ...: the embedding and all ids of row r are r.
PixelBatch memory_rows(int64_t first, int64_t count) {
  PixelBatch batch;
  const at::Tensor r = torch::arange(first, first + count, at::kLong);
  batch.pixels.embeddings = r.to(at::kFloat).unsqueeze(1).expand({count, 4}).contiguous();
  batch.pixels.position = torch::zeros({count, 2}, at::kFloat);
  batch.pixels.anchor = torch::zeros({count, 3}, at::kFloat);
  batch.image_id = batch.instance_id = batch.category = r;
  return batch;
}

std::set<int64_t> kept(const PixelMemory& memory) {
  const PixelBatch all = memory.entries();
  std::set<int64_t> ids;
  for (int64_t i = 0; i < all.count(); ++i) {
    ids.insert(all.image_id[i].item<int64_t>());
    REQUIRE(all.pixels.embeddings[i][3].item<float>() == static_cast<float>(all.image_id[i].item<int64_t>()));
  }
  REQUIRE(static_cast<int64_t>(ids.size()) == all.count());
  return ids;
}

}  // namespace

TEST_CASE("memory: keeps exactly the newest entries, whatever the batch sizes", "[uniq][property]") {
  for (const int64_t capacity : {1, 7, 16, 50}) {
    for (const int64_t size : {1, 3, 7, 20, 60}) {
      CAPTURE(capacity, size);
      PixelMemory memory(capacity, 4, at::kCPU);
      int64_t written = 0;
      for (int64_t step = 0; step < 9; ++step) {
        memory.push(memory_rows(written, size), step);
        written += size;
        const auto ids = kept(memory);
        REQUIRE(*ids.rbegin() == written - 1);
        REQUIRE(*ids.begin() == std::max<int64_t>(0, written - capacity));
        REQUIRE(static_cast<int64_t>(ids.size()) == std::min(written, capacity));
      }
    }
  }
}

TEST_CASE("memory: a restored state goes on like the original", "[uniq][property]") {
  PixelMemory one(10, 4, at::kCPU), two(10, 4, at::kCPU);
  one.push(memory_rows(0, 13), 0);
  two.set_state(one.state());
  one.push(memory_rows(13, 4), 1);
  two.push(memory_rows(13, 4), 1);
  REQUIRE(at::equal(one.entries().image_id, two.entries().image_id));
  REQUIRE(at::equal(one.entries().pixels.embeddings, two.entries().pixels.embeddings));
  PixelMemory narrow(10, 3, at::kCPU);
  REQUIRE_THROWS_WITH(narrow.set_state(one.state()),
                      "the saved memory's \"embeddings\" must be [10, 3] float32, but is [10, 4] float32");
  auto odd = one.state();
  for (auto& [name, tensor] : odd) tensor = name == "next" ? torch::zeros({2}, at::kLong) : tensor;
  REQUIRE_THROWS_WITH(two.set_state(odd), "the saved memory's \"next\" must be [1] int64, but is [2] int64");
}

TEST_CASE("memory: every instance gives the same number of its own pixels, small ones all they have", "[uniq][property]") {
  auto truth = std::vector{test::rectangles(1, 3, {64, 64}), test::rectangles(2, 2, {64, 64})};
  truth[0].masks[1].zero_();
  truth[0].masks[1].slice(0, 20, 23).slice(1, 30, 33).fill_(true);  // smaller than a cell's four pixels need
  const auto batch = test::tiny_batch(truth, test::noise(1, {2, 3, 64, 64}));
  UniqConfig config;
  config.pixels_per_instance = 5;
  const PixelBatch sampled = sample_pixels(*batch.segmenter, batch.encoded.mask_features, batch.truth, batch.queries,
                                           config, {}, 3, 4);
  REQUIRE_FALSE(sampled.pixels.embeddings.requires_grad());
  std::map<int64_t, int64_t> per_instance;
  for (int64_t p = 0; p < sampled.count(); ++p) {
    const int64_t image = sampled.image_id[p].item<int64_t>() - 1;
    const int64_t instance = sampled.instance_id[p].item<int64_t>() % 100;
    ++per_instance[sampled.instance_id[p].item<int64_t>()];
    const int64_t x = static_cast<int64_t>(sampled.pixels.position[p][0].item<float>()) / 4;
    const int64_t y = static_cast<int64_t>(sampled.pixels.position[p][1].item<float>()) / 4;
    REQUIRE(batch.segmenter->instance_cells(batch.truth[image])[instance][y][x].item<bool>());
    const at::Tensor cell = batch.encoded.mask_features.detach().index({image, at::indexing::Slice(), y, x});
    REQUIRE(at::equal(sampled.pixels.embeddings[p], cell));
  }
  REQUIRE(per_instance.size() == 5);
  for (const auto& [id, count] : per_instance) REQUIRE(count == (id == 101 ? 1 : 5));
}

TEST_CASE("memory: mined pixels are among the samples, up to their share", "[uniq]") {
  const auto truth = std::vector{test::rectangles(1, 1, {64, 64})};
  const auto batch = test::tiny_batch(truth, test::noise(1, {1, 3, 64, 64}));
  const at::Tensor cells = at::nonzero(batch.segmenter->instance_cells(truth[0])[0]);
  REQUIRE(cells.size(0) >= 6);
  UniqConfig config;
  config.pixels_per_instance = 4;
  config.hard_share = 0.5;
  const auto hard = [&](size_t, int64_t) {
    std::vector<std::pair<float, float>> pixels = {{-8.f, 900.f}};  // outside of the view: ignored
    for (int64_t i = 0; i < 3; ++i) {
      pixels.emplace_back(4 * cells[i][1].item<int64_t>(), 4 * cells[i][0].item<int64_t>());
    }
    return pixels;
  };
  int64_t beyond_share = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const PixelBatch sampled = sample_pixels(*batch.segmenter, batch.encoded.mask_features, truth, batch.queries,
                                             config, hard, seed, 0);
    REQUIRE(sampled.count() == 4);
    const at::Tensor third = 4 * cells[2].flip(0).to(at::kFloat);
    beyond_share += at::equal(sampled.pixels.position[2], third) ? 1 : 0;
    for (int64_t i = 0; i < 2; ++i) {
      REQUIRE(sampled.pixels.position[i][0].item<float>() == 4 * cells[i][1].item<float>());
      REQUIRE(sampled.pixels.position[i][1].item<float>() == 4 * cells[i][0].item<float>());
    }
  }
  REQUIRE(beyond_share < 10);  // the third mined pixel is drawn by chance alone
}
