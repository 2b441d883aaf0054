#include "lib/uniq/diagnostics.h"

#include <torch/types.h>

#include <cmath>

#include "lib/view/transform.h"
#include "tests/support/catch.h"
#include "tests/unit/model/tiny_segmenters.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::uniq;

namespace {

constexpr view::Size kCanvas{96, 64};

at::Tensor random_masks(uint64_t seed, std::vector<int64_t> shape, double share) {
  at::Tensor out = torch::zeros(shape, at::kBool);
  Rng rng(seed, "diagnosed masks");
  for (int64_t i = 0; i < out.numel(); ++i) out.data_ptr<bool>()[i] = rng.uniform() < share;
  return out;
}

void check_rate(const std::optional<double>& got, double part, double whole) {
  REQUIRE(got.has_value() == (whole > 0));
  if (got) CHECK(*got == Approx(part / whole).epsilon(1e-12));
}

// Two pairs of scenes; images 0 and 2 show one scene, 1 and 3 another.
struct Scenes {
  test::TinyBatch batch;
  std::vector<view::ViewTransform> pairs;
  explicit Scenes(const std::string& segmenter) {
    std::vector<view::Instances> truth = {test::rectangles(1, 3, kCanvas), test::rectangles(2, 2, kCanvas)};
    at::Tensor images = test::noise(3, {2, 3, kCanvas.height, kCanvas.width});
    pairs = {view::ViewTransform::flip_x(kCanvas, view::Alignment::kStrided),
             view::ViewTransform::crop(kCanvas, -32, 32, 1)};
    std::vector<at::Tensor> moved;
    for (size_t i = 0; i < 2; ++i) {
      view::Instances other = truth[i];
      other.masks = pairs[i].apply_masks(truth[i].masks);
      truth.push_back(other);
      moved.push_back(pairs[i].apply_image(images[static_cast<int64_t>(i)]));
    }
    images = at::cat({images, at::stack(moved)});
    batch = test::tiny_batch(truth, images, test::tiny_segmenters().at(segmenter));
    // Those of an untrained model fire nowhere, or everywhere.
    batch.queries.vectors = test::noise(4, batch.queries.vectors.sizes().vec());
  }
};

bool fires(const at::Tensor& logits, int64_t q, int64_t y, int64_t x) { return logits[q][y][x].item<float>() > 0; }

}  // namespace

TEST_CASE("diagnostics: where queries fire is counted cell by cell", "[uniq][property]") {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    const std::vector<int64_t> shape = {3, 5, 7};
    at::Tensor fired = random_masks(seed, shape, 0.4);
    const at::Tensor own = random_masks(seed + 10, shape, seed == 1 ? 0 : 0.3);
    const at::Tensor all = random_masks(seed + 20, shape, 0.3) | own;
    const at::Tensor valid = random_masks(seed + 30, shape, seed == 2 ? 0 : 0.8);
    if (seed == 3) fired[1].fill_(false);  // one mask that is empty
    double cells[3] = {}, hits[3] = {}, shares = 0, masks = 0;
    for (int64_t q = 0; q < 3; ++q) {
      double on_other = 0, area = 0;
      for (int64_t i = 0; i < 35; ++i) {
        const auto at = [&](const at::Tensor& t) { return t[q].flatten()[i].item<bool>(); };
        if (!at(valid)) continue;
        const int place = at(own) ? 0 : at(all) ? 1 : 2;
        ++cells[place];
        hits[place] += at(fired);
        area += at(fired);
        on_other += at(fired) && place == 1;
      }
      if (area == 0) continue;
      shares += on_other / area;
      ++masks;
    }
    const Firing got = firing(fired, own, all, valid);
    check_rate(got.own, hits[0], cells[0]);
    check_rate(got.other, hits[1], cells[1]);
    check_rate(got.background, hits[2], cells[2]);
    check_rate(got.on_other, shares, masks);
  }
  const at::Tensor none = torch::zeros({0, 5, 7}, at::kBool);
  CHECK_FALSE(firing(none, none, none, none).on_other);
  CHECK_FALSE(mean_iou(none, none, none));
}

TEST_CASE("diagnostics: firing at home is that of each query's logits on its own map, without padding", "[uniq][property]") {
  const std::string name = GENERATE("condinst", "mask2former", "solov2", "sotr");
  CAPTURE(name);
  Scenes scenes(name);
  test::TinyBatch& b = scenes.batch;
  REQUIRE(b.queries.count() > 0);
  model::Frame frame = b.encoded.frame;
  frame.valid[1] = {kCanvas.height - 30, kCanvas.width - 10};
  const at::Tensor logits = b.segmenter->mask_logits(b.queries, b.encoded.mask_features);
  const int64_t stride = b.segmenter->mask_stride();
  double cells[3] = {}, hits[3] = {}, shares = 0, masks = 0;
  for (int64_t q = 0; q < b.queries.count(); ++q) {
    const auto image = static_cast<size_t>(b.queries.image[q].item<int64_t>());
    const at::Tensor instances = b.segmenter->instance_cells(b.truth[image]);
    const int64_t own = b.queries.instance[q].item<int64_t>();
    double on_other = 0, area = 0;
    for (int64_t y = 0; y * stride < frame.valid[image].height; ++y) {
      for (int64_t x = 0; x * stride < frame.valid[image].width; ++x) {
        bool any = false;
        for (int64_t n = 0; n < b.truth[image].count(); ++n) any |= instances[n][y][x].item<bool>();
        const int place = instances[own][y][x].item<bool>() ? 0 : any ? 1 : 2;
        const bool fired = fires(logits, q, y, x);
        ++cells[place];
        hits[place] += fired;
        area += fired;
        on_other += fired && place == 1;
      }
    }
    if (area == 0) continue;
    shares += on_other / area;
    ++masks;
  }
  const Firing got = firing_at_home(*b.segmenter, b.queries, b.encoded.mask_features, b.truth, frame);
  check_rate(got.own, hits[0], cells[0]);
  check_rate(got.other, hits[1], cells[1]);
  check_rate(got.background, hits[2], cells[2]);
  check_rate(got.on_other, shares, masks);
  CHECK(cells[1] > 0);
}

TEST_CASE("diagnostics: a query meets every pixel of other images and none of its own", "[uniq][property]") {
  const std::string name = GENERATE("condinst", "solov2");
  CAPTURE(name);
  Scenes scenes(name);
  test::TinyBatch& b = scenes.batch;
  std::vector<int64_t> ids;
  for (int64_t q = 0; q < b.queries.count(); ++q) {
    ids.push_back(b.truth[static_cast<size_t>(b.queries.image[q].item<int64_t>())].image_id);
  }
  const at::Tensor query_ids = torch::tensor(ids, at::kLong);
  const PixelBatch pixels =
      sample_pixels(*b.segmenter, b.encoded.mask_features, b.truth, b.queries, UniqConfig(), {}, 0, 0);
  const at::Tensor logits = b.segmenter->pixel_logits(b.queries, pixels.pixels);
  double fired = 0, pairs = 0;
  for (int64_t q = 0; q < b.queries.count(); ++q) {
    for (int64_t p = 0; p < pixels.count(); ++p) {
      if (pixels.image_id[p].item<int64_t>() == ids[static_cast<size_t>(q)]) continue;
      ++pairs;
      fired += logits[q][p].item<float>() > 0;
    }
  }
  REQUIRE(fired > 0);
  check_rate(firing_on_foreign(*b.segmenter, b.queries, query_ids, pixels), fired, pairs);
  CHECK_FALSE(firing_on_foreign(*b.segmenter, b.queries, torch::full_like(query_ids, 1), [&] {
    PixelBatch own = pixels;
    own.image_id = torch::full_like(pixels.image_id, 1);
    return own;
  }()));
}

TEST_CASE("diagnostics: equivariance IoU compares what a query fires on in both features", "[uniq][property]") {
  const std::string name = GENERATE("condinst", "mask2former", "solov2", "sotr");
  const std::string equi_at = GENERATE("backbone", "mask_features");
  CAPTURE(name, equi_at);
  Scenes scenes(name);
  test::TinyBatch& b = scenes.batch;
  UniqConfig config;
  config.equi_at = equi_at;
  const PairBatch pairs{b.backbone, b.encoded, b.queries, b.truth, scenes.pairs};
  const at::Tensor moved = transformed_mask_features(*b.segmenter, b.backbone, b.encoded, scenes.pairs, equi_at);
  // The first half's own maps make room for the transformed ones: the queries keep their places.
  const at::Tensor as_moved = b.segmenter->mask_logits(b.queries, at::cat({moved, moved}));
  const at::Tensor as_seen = b.segmenter->mask_logits(b.queries, b.encoded.mask_features);
  double sum = 0, count = 0;
  for (int64_t q = 0; q < b.queries.count(); ++q) {
    const int64_t image = b.queries.image[q].item<int64_t>();
    if (image < 2) continue;
    const at::Tensor shown = scenes.pairs[static_cast<size_t>(image - 2)].valid(kCanvas, b.segmenter->mask_stride(),
                                                                                b.segmenter->alignment());
    double both = 0, either = 0;
    for (int64_t y = 0; y < shown.size(0); ++y) {
      for (int64_t x = 0; x < shown.size(1); ++x) {
        if (!shown[y][x].item<bool>()) continue;
        both += fires(as_moved, q, y, x) && fires(as_seen, q, y, x);
        either += fires(as_moved, q, y, x) || fires(as_seen, q, y, x);
      }
    }
    if (either == 0) continue;
    sum += both / either;
    ++count;
  }
  REQUIRE(count > 0);
  check_rate(equivariance_iou(*b.segmenter, pairs, config), sum, count);
}

TEST_CASE("diagnostics: norm and cosine are those of all tensors strung together", "[uniq][property]") {
  const std::vector<at::Tensor> one = {test::noise(1, {3, 4}), {}, test::noise(2, {5}), test::noise(3, {2})};
  const std::vector<at::Tensor> two = {test::noise(4, {3, 4}), test::noise(5, {6}), {}, test::noise(6, {2})};
  double ones = 0, twos = 0, dot = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    const auto at = [&](const at::Tensor& t, int64_t k) { return double{t.flatten()[k].item<float>()}; };
    for (int64_t k = 0; one[i].defined() && k < one[i].numel(); ++k) ones += at(one[i], k) * at(one[i], k);
    for (int64_t k = 0; two[i].defined() && k < two[i].numel(); ++k) twos += at(two[i], k) * at(two[i], k);
    if (!one[i].defined() || !two[i].defined()) continue;
    for (int64_t k = 0; k < one[i].numel(); ++k) dot += at(one[i], k) * at(two[i], k);
  }
  CHECK(norm_of(one) == Approx(std::sqrt(ones)).epsilon(1e-12));
  REQUIRE(cosine_of(one, two));
  CHECK(*cosine_of(one, two) == Approx(dot / std::sqrt(ones * twos)).epsilon(1e-12));
  CHECK(*cosine_of(one, one) == Approx(1).epsilon(1e-12));
  CHECK_FALSE(cosine_of(one, {at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()}));
  CHECK(norm_of({at::Tensor()}) == 0);
}
