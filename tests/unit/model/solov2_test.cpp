#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/model/common.h"
#include "lib/model/solov2/matrix_nms.h"
#include "tests/unit/model/parity.h"

// Vectors of lib/model/solov2/REFERENCE.md 8 for SOLOv2 and, because they share them, SOTR.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

bool close(const at::Tensor& found, const std::vector<float>& wanted) {
  return at::allclose(found, torch::tensor(wanted), 1e-4, 1e-5);
}

}  // namespace

TEST_CASE("solov2: a quarter-size cell is set by two of its four middle pixels", "[model][golden]") {
  for (int64_t bits = 0; bits < (1 << 16); bits += 7) {  // a 4x4 block, pixel by pixel
    at::Tensor block = torch::zeros({1, 4, 4}, at::kBool);
    auto data = block.accessor<bool, 3>();
    int64_t middle = 0;
    for (int64_t i = 0; i < 16; ++i) {
      const bool set = (bits >> i) & 1;
      const int64_t row = i / 4, column = i % 4;
      data[0][row][column] = set;
      if (row % 3 != 0 && column % 3 != 0) middle += set;
    }
    REQUIRE(quarter_masks(block).item<bool>() == (middle >= 2));
  }
}

TEST_CASE("solov2: points-NMS looks left, up and left-up", "[model][golden]") {
  const auto heat = [](const std::vector<float>& values) { return torch::tensor(values).view({1, 1, 2, 2}); };
  // Only the fourth is beaten; the first survives since its right and lower neighbours are not looked at.
  CHECK(points_nms(heat({.5f, .6f, .6f, .4f})).equal(heat({.5f, .6f, .6f, 0})));
}

TEST_CASE("solov2: matrix NMS decays by the worst overlap, made good for what that one suffered itself", "[model][golden]") {
  const at::Tensor iou = torch::tensor({1.f, .8f, .3f, .8f, 1.f, .5f, .3f, .5f, 1.f}).view({3, 3});
  const at::Tensor scores = torch::tensor({.9f, .8f, .7f});
  CHECK(close(matrix_nms_of_iou(iou, torch::tensor({4, 4, 4}), scores, 2), {.9f, .22243f, .58469f}));
  CHECK(close(matrix_nms_of_iou(iou, torch::tensor({4, 5, 4}), scores, 2), {.9f, .8f, .58469f}));
}

TEST_CASE("solov2: a fresh head starts from its priors", "[model][property]") {
  for (const json& config : {json{{"name", "solov2"}, {"head_channels", 32}, {"head_convs", 1}}, json{{"name", "sotr"}, {"depth", 1}}}) {
    CAPTURE(config.dump());
    json tiny = config;
    tiny.update({{"backbone", {{"name", "resnet10"}, {"width", 8}}}, {"channels", 32}, {"mask_channels", 32}});
    const auto segmenter = make_segmenter(tiny, 3, 1);
    const auto parameters = segmenter->named_parameters();
    const std::string head = config.at("name") == "sotr" ? "cate_head." : "ins_head.";
    CHECK(parameters[head + "cate_pred.bias"].mean().item<double>() == Approx(-4.59512).epsilon(1e-5));
    CHECK(parameters["mask_head.conv_pred.0.weight"].std().item<double>() == Approx(0.01).epsilon(0.05));
  }
}
