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

TEST_CASE("equivariance: transformed backbone maps give the mask features of the transformed image", "[uniq][property]") {
  // What the term relies on, on a network with strided convolutions: g(F(I)) is F(g(I)) away from the border.
  const auto g = view::ViewTransform::flip_x({128, 128}, view::Alignment::kStrided);
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  const torch::NoGradGuard guard;
  const at::Tensor image = test::noise(8, {3, 128, 128});
  const auto of_image = segmenter->backbone(image.unsqueeze(0));
  const auto of_view = segmenter->backbone(g.apply_image(image).unsqueeze(0));
  for (size_t l = 0; l < 2; ++l) {
    const int64_t stride = int64_t{4} << l;
    const at::Tensor moved = g.apply_features(of_image[l][0], stride, view::Alignment::kStrided);
    const int64_t border = 32 / stride;
    const auto middle = [&](const at::Tensor& f) { return f.slice(1, border, -border).slice(2, border, -border); };
    // Convolution kernels are not symmetric, so only the grid can be compared: the flipped map correlates with the
    // fresh one far better than it does one cell to the side.
    const auto distance = [&](int64_t shift) {
      return (middle(moved.roll(shift, 2)) - middle(of_view[l][0])).pow(2).mean().item<double>();
    };
    REQUIRE(distance(0) > 0);
    CAPTURE(distance(0), distance(1), distance(-1));
    REQUIRE(distance(0) <= distance(1) * 1.05);
    REQUIRE(distance(0) <= distance(-1) * 1.05);
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
