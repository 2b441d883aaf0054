#include "lib/uniq/equivariance.h"

#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::uniq;

namespace {

struct Pair {
  test::TinyBatch batch;
  std::vector<view::ViewTransform> pairs;

  explicit Pair(const view::ViewTransform& g) : pairs{g} {
    const auto truth = test::rectangles(1, 3, g.size);
    const at::Tensor image = test::noise(6, {3, g.size.height, g.size.width});
    batch = test::tiny_batch({truth, view::transform(truth, g, 4)}, at::stack({image, g.apply_image(image)}));
  }
  at::Tensor loss(const std::string& at) {
    UniqConfig config;
    config.equi_at = at;
    return equivariance_loss(*batch.segmenter,
                             {batch.backbone, batch.encoded, batch.queries, batch.truth, pairs}, config);
  }
};

}  // namespace

TEST_CASE("equivariance: with g the identity it is the mask loss of the second half", "[uniq][property]") {
  Pair pair(view::ViewTransform::identity({64, 64}));
  auto& b = pair.batch;
  // Both halves are the same image, so the base loss over all queries is the same mean.
  const double base = b.segmenter->mask_loss(b.queries, b.encoded.mask_features, b.truth, {}).item<double>();
  for (const char* at : {"backbone", "neck", "mask_features"}) {
    CAPTURE(at);
    REQUIRE(pair.loss(at).item<double>() == Approx(base).epsilon(1e-4));
  }
}

TEST_CASE("equivariance: the gradient reaches kernels, mask branch and backbone", "[uniq][property]") {
  for (const char* at : {"backbone", "neck", "mask_features"}) {
    CAPTURE(at);
    Pair pair(view::ViewTransform::flip_x({64, 64}, view::Alignment::kStrided));
    pair.loss(at).backward();
    for (const char* part : {"ins_head.kernel_pred", "mask_head.conv_pred", "backbone.bottom_up.res2"}) {
      double size = 0;
      for (const auto& item : pair.batch.segmenter->named_parameters()) {
        const bool mine = item.key().rfind(part, 0) == 0 && item.value().grad().defined();
        if (mine) size += item.value().grad().abs().sum().item<double>();
      }
      CAPTURE(part);
      REQUIRE(size > 0);
    }
  }
}

TEST_CASE("equivariance: on the aligned grid a flipped map is the map of the flipped image", "[uniq][property]") {
  // With kernels that are their own mirror images nothing but the grid can make a difference, so the strided network must
  // commute with the aligned flip exactly, away from the border, and not with the plain one.
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  const torch::NoGradGuard guard;
  for (at::Tensor& weight : segmenter->parameters()) {
    if (weight.dim() == 4) weight.copy_((weight + weight.flip(3)) / 2);
  }
  const at::Tensor image = test::noise(8, {3, 128, 128});
  const auto difference = [&](view::Alignment alignment) {
    const auto g = view::ViewTransform::flip_x({128, 128}, alignment);
    const at::Tensor moved = g.apply_features(segmenter->backbone(image.unsqueeze(0))[0][0], 4, alignment);
    const at::Tensor fresh = segmenter->backbone(g.apply_image(image).unsqueeze(0))[0][0];
    const auto middle = [](const at::Tensor& f) { return f.slice(1, 12, -12).slice(2, 12, -12); };
    return ((middle(moved) - middle(fresh)).abs().max() / middle(fresh).abs().max()).item<double>();
  };
  REQUIRE(difference(view::Alignment::kStrided) < 1e-4);
  REQUIRE(difference(view::Alignment::kPatch) > 0.05);
}

TEST_CASE("equivariance: where g(I) shows nothing of I, masks do not count", "[uniq][property]") {
  for (const char* at : {"backbone", "neck", "mask_features"}) {
    CAPTURE(at);
    Pair pair(view::ViewTransform::crop({64, 64}, -32, 0, 1.0));  // its left half is empty
    const double before = pair.loss(at).item<double>();
    REQUIRE(before > 0);
    pair.batch.truth[1].masks.slice(2, 0, 32).fill_(true);
    REQUIRE(pair.loss(at).item<double>() == before);
    pair.batch.truth[1].masks.slice(2, 32).fill_(true);
    REQUIRE(pair.loss(at).item<double>() != before);
  }
}

TEST_CASE("equivariance: no instance in g(I) gives 0 with a graph", "[uniq][error]") {
  Pair pair(view::ViewTransform::identity({64, 64}));
  auto& b = pair.batch;
  b.truth[1] = view::transform(b.truth[1], pair.pairs[0], 1000000);
  b.queries = b.segmenter->assign(b.encoded, b.truth);
  const at::Tensor loss = pair.loss("backbone");
  REQUIRE(loss.item<double>() == 0);
  loss.backward();
}

TEST_CASE("equivariance: a batch that is not of pairs is refused by name, and targets of the whole batch go with no half",
          "[uniq][error]") {
  Pair pair(view::ViewTransform::flip_x({64, 64}, view::Alignment::kStrided));
  const test::TinyBatch whole = pair.batch;
  const auto refuses = [&](const char* what) {
    CHECK_THROWS_WITH(pair.loss("backbone"), Catch::Contains(what));
    pair.batch = whole;
  };
  auto& b = pair.batch;
  b.backbone[1] = b.backbone[1].slice(0, 1);
  refuses("backbone must be [2, *, *, *] float32, but is [1, ");
  b.encoded.mask_features = b.encoded.mask_features.slice(1, 1);
  refuses("mask_features must be [2, 16, *, *] float32");
  b.truth.pop_back();
  refuses("truth must be 2 long, but is 1 long");
  b.queries.label = b.queries.label.to(at::kFloat);
  refuses("queries.label must");
  // The loss looks at queries alone: their batch's targets are not needed for it, and stay as they are.
  REQUIRE(b.queries.targets != nullptr);
  const double loss = pair.loss("backbone").item<double>();
  CHECK(b.queries.targets == whole.queries.targets);
  b.queries.targets = nullptr;
  CHECK(pair.loss("backbone").item<double>() == loss);
}
