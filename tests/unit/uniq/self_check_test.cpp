#include "tests/support/self_check.h"

#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::uniq;

namespace {

constexpr view::Size kCanvas{64, 64};

Agreement agreement(const view::ViewTransform& g, const std::string& at, model::Segmenter& segmenter) {
  AgreementSum sum;
  sum.add(segmenter, test::noise(6, {3, kCanvas.height, kCanvas.width}), test::rectangles(1, 3, kCanvas), g, at);
  return sum.mean();
}

}  // namespace

TEST_CASE("self check: with g the identity all three agree", "[uniq][property]") {
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  segmenter->eval();
  for (const char* at : {"backbone", "neck", "mask_features"}) {
    CAPTURE(at);
    const Agreement found = agreement(view::ViewTransform::identity(kCanvas), at, *segmenter);
    REQUIRE(found.instances == 3);
    REQUIRE(found.fresh == Approx(found.plain).margin(1e-9));
    REQUIRE(found.moved == Approx(found.plain).margin(1e-9));
  }
}

TEST_CASE("self check: it is the share of cells on which a prediction and its mask agree", "[uniq][property]") {
  // A mask head whose output is constant makes every query fire everywhere or nowhere: IoU is the mask's share, or 0.
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  segmenter->eval();
  const torch::NoGradGuard guard;
  for (const auto& item : segmenter->named_parameters()) {
    if (item.key() == "mask_head.conv_pred.1.weight") item.value().zero_();
    if (item.key() == "mask_head.conv_pred.1.bias") item.value().fill_(1);
    if (item.key() == "ins_head.kernel_pred.bias") item.value().fill_(10);
  }
  const auto truth = test::rectangles(1, 3, kCanvas);
  const auto g = view::ViewTransform::flip_x(kCanvas, view::Alignment::kStrided);
  const double share = segmenter->instance_cells(truth).to(at::kDouble).flatten(1).mean(1).mean().item<double>();
  const Agreement found = agreement(g, "mask_features", *segmenter);
  REQUIRE(found.instances == 3);
  REQUIRE(found.plain == Approx(share));
  // In the view the first column shows nothing and does not count.
  const at::Tensor cells = segmenter->instance_cells(view::transform(truth, g, 1)).slice(2, 1);
  REQUIRE(found.fresh == Approx(cells.to(at::kDouble).flatten(1).mean(1).mean().item<double>()));
  REQUIRE(found.moved == Approx(found.fresh));
}

TEST_CASE("self check: instances that the view does not show are left out", "[uniq][property]") {
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  segmenter->eval();
  const auto truth = test::rectangles(1, 3, kCanvas);
  const auto g = view::ViewTransform::crop(kCanvas, 32, 32, 1.0);
  const Agreement found = agreement(g, "backbone", *segmenter);
  REQUIRE(found.instances == view::transform(truth, g, 1).count());
  REQUIRE(found.instances < 3);
}
