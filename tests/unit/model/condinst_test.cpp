#include "lib/model/condinst/condinst.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/model/common.h"
#include "lib/model/condinst/boxes.h"
#include "lib/model/condinst/targets.h"
#include "tests/unit/model/parity.h"

// Vectors of lib/model/condinst/REFERENCE.md 8, and what the contract promises.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

json tiny_condinst(const std::string& foreign = "own") {
  return {{"name", "condinst"},
          {"backbone", {{"name", "resnet10"}, {"width", 8}, {"freeze", 0}}},
          {"channels", 16},
          {"head_convs", 1},
          {"groups", 4},
          {"mask_channels", 16},
          {"mask_convs", 1},
          {"foreign_coordinates", foreign}};
}

view::Instances boxes_of(int64_t image_id, const std::vector<std::vector<int64_t>>& boxes, view::Size canvas) {
  view::Instances truth;
  truth.image_id = image_id;
  truth.masks = torch::zeros({static_cast<int64_t>(boxes.size()), canvas.height, canvas.width}, at::kBool);
  for (size_t n = 0; n < boxes.size(); ++n) {
    const auto& b = boxes[n];  // x0, y0, x1, y1
    truth.masks[static_cast<int64_t>(n)].slice(0, b[1], b[3]).slice(1, b[0], b[2]).fill_(true);
    truth.instance_ids.push_back(static_cast<int64_t>(n));
  }
  truth.labels = torch::zeros({static_cast<int64_t>(boxes.size())}, at::kLong);
  return truth;
}

struct Foreign {
  std::shared_ptr<Segmenter> segmenter;
  std::vector<view::Instances> truth = {boxes_of(1, {{20, 16, 60, 70}, {70, 60, 120, 90}}, {96, 128}),
                                          boxes_of(2, {{8, 8, 100, 88}}, {96, 128})};
  Encoded encoded;
  Queries queries;

  explicit Foreign(const std::string& foreign = "own") : segmenter(make_segmenter(tiny_condinst(foreign), 3, 1)) {
    const at::Tensor images = formula("images", {2, 3, 96, 128}, -2, 2);
    encoded = segmenter->encode(segmenter->backbone(images), {{96, 128}, {{96, 128}, {96, 128}}});
    // Dynamic weights of a fresh controller are tiny; larger ones make the logits differ.
    const auto heads = std::make_shared<CondInstHeads>(own_state<CondInstHeads>(encoded.heads));
    for (size_t l = 0; l < heads->controllers.size(); ++l) {
      at::Tensor& map = heads->controllers[l];
      map = map + formula("weights" + std::to_string(15 + l), map.sizes().vec(), -1, 1);
    }
    encoded.heads = heads;
    queries = segmenter->assign(encoded, truth);
  }
};

// The pixels of one map as loose pixels, all of an instance at `anchor`.
PixelSet pixels_of(const at::Tensor& map, const at::Tensor& anchor) {
  const int64_t height = map.size(1), width = map.size(2);
  PixelSet pixels;
  pixels.embeddings = map.flatten(1).t();
  const at::Tensor x = (torch::arange(width) * 8).repeat({height});
  const at::Tensor y = (torch::arange(height) * 8).repeat_interleave(width);
  pixels.position = at::stack({x, y}, 1).to(at::kFloat);
  pixels.anchor = anchor.unsqueeze(0).expand({height * width, 3});
  return pixels;
}

}  // namespace

TEST_CASE("condinst: aligned_bilinear keeps the first value and clamps at the end", "[model][golden]") {
  const at::Tensor row = torch::tensor({0.0f, 1.0f, 3.0f}).view({1, 1, 1, 3});
  const auto enlarged = [&](int64_t factor) { return aligned_bilinear(row, factor)[0][0][0]; };
  CHECK(at::allclose(enlarged(2), torch::tensor({0.0f, 0.0f, 0.5f, 1.0f, 2.0f, 3.0f})));
  CHECK(at::allclose(enlarged(4), torch::tensor({0.0f, 0.0f, 0.0f, 0.25f, 0.5f, 0.75f, 1.0f, 1.5f, 2.0f, 2.5f, 3.0f, 3.0f})));
  CHECK(enlarged(1).equal(row[0][0][0]));
}

TEST_CASE("condinst: aligned_bilinear says the same of small maps and of large ones", "[model][property]") {
  torch::manual_seed(3);
  const at::Tensor large = at::randn({2, 3, 9, 70});  // which are enlarged in two ways
  const at::Tensor small = large.slice(3, 0, 60);
  const at::Tensor expected = aligned_bilinear(large, 4).slice(3, 0, 4 * 59);
  REQUIRE(at::allclose(aligned_bilinear(small, 4).slice(3, 0, 4 * 59), expected, 1e-5, 1e-6));
}

TEST_CASE("condinst: the numbers of a query are laid out as the reference's", "[model][golden]") {
  const at::Tensor query = torch::arange(169).to(at::kFloat).unsqueeze(0) / 100;
  const at::Tensor input = torch::tensor({0.1f, -0.2f, 0.3f, 0.5f, -0.7f, 0.2f, 0.4f, -0.1f, 0.6f, 0.8f});  // x, y, features
  const auto w = [&](int64_t i) { return static_cast<double>(i) / 100; };
  std::vector<double> first(8), second(8);
  for (int64_t o = 0; o < 8; ++o) {
    double sum = w(152 + o);
    for (int64_t i = 0; i < 10; ++i) sum += w(o * 10 + i) * input[i].item<double>();
    first[static_cast<size_t>(o)] = std::max(0.0, sum);
  }
  double out = w(168);
  for (int64_t o = 0; o < 8; ++o) {
    double sum = w(160 + o);
    for (int64_t i = 0; i < 8; ++i) sum += w(80 + o * 8 + i) * first[static_cast<size_t>(i)];
    out += w(144 + o) * std::max(0.0, sum);
  }
  CHECK(CondInstConfig{}.query_width() == 169);
  const RelativeCoordinates coordinates{input.slice(0, 0, 2).unsqueeze(1), torch::zeros({1, 2}), torch::ones({1, 1})};
  const at::Tensor logit = dynamic_masks(query, input.slice(0, 2).unsqueeze(1), coordinates, 8);
  CHECK(logit.item<double>() == Approx(out).epsilon(1e-5));
}

TEST_CASE("condinst: coordinates are those of the instance minus the pixel, by the level's size", "[model][golden]") {
  // A query that hands x, then y through: instance (100, 60) on p4, cell (2, 1) of stride 8 lies on (20, 12).
  Foreign s;
  for (const int64_t axis : {0, 1}) {
    Queries query;
    query.vectors = torch::zeros({1, 169});
    query.vectors[0][axis] = 1;  // hidden unit 0 of layer 0
    query.vectors[0][80] = query.vectors[0][144] = 1;
    query.image = query.instance = query.label = torch::zeros({1}, at::kLong);
    query.score = torch::zeros({1});
    query.anchor = torch::tensor({100.0f, 60.0f, 1.0f}).unsqueeze(0);
    const at::Tensor logits = s.segmenter->mask_logits(query, torch::zeros({1, 8, 12, 16}));
    CHECK(logits[0][1][2].item<double>() == Approx(axis == 0 ? 0.625 : 0.375));
  }
}

TEST_CASE("condinst: dice and focal start where the formulas say", "[model][golden]") {
  for (const auto& [share, wanted] : {std::pair{0.01, 0.9615}, {0.05, 0.8333}, {0.2, 0.5556}}) {
    const int64_t pixels = 100000;
    at::Tensor target = torch::zeros({1, pixels});
    target.slice(1, 0, static_cast<int64_t>(share * pixels)).fill_(1);
    CHECK(dice_loss(torch::zeros({1, pixels}), target, {}, 5e-6).item<double>() == Approx(wanted).epsilon(1e-4));
  }
  const at::Tensor prior = torch::full({1}, -std::log(99.0));
  CHECK(focal_loss_sum(prior, torch::zeros({1})).item<double>() == Approx(7.538e-7).epsilon(1e-3));
  CHECK(focal_loss_sum(prior, torch::ones({1})).item<double>() == Approx(1.12838).epsilon(1e-4));
}

TEST_CASE("condinst: a fresh head starts from its priors", "[model][property]") {
  const auto segmenter = make_segmenter(tiny_condinst(), 3, 1);
  const auto parameters = segmenter->named_parameters();
  CHECK(parameters["proposal_generator.fcos_head.cls_logits.bias"].mean().item<double>() == Approx(-4.59512).epsilon(1e-5));
  CHECK(parameters["proposal_generator.fcos_head.scales.4.scale"].item<double>() == 1);
  CHECK(parameters["controller.weight"].std().item<double>() == Approx(0.01).epsilon(0.05));
  CHECK(parameters["mask_branch.tower.1.bias"].abs().max().item<double>() <= 0.25);  // 1 / sqrt(16)
}

TEST_CASE("condinst: overlaid pixels of a map have the map's logits, wherever their instance lies", "[model][property]") {
  Foreign s("overlay");
  REQUIRE(s.queries.count() > 10);
  const at::Tensor maps = s.segmenter->mask_logits(s.queries, s.encoded.mask_features);  // [Q, H, W]
  for (int64_t q = 0; q < s.queries.count(); ++q) {
    const at::Tensor map = s.encoded.mask_features[s.queries.image[q].item<int64_t>()];
    const at::Tensor loose = s.segmenter->pixel_logits(s.queries, pixels_of(map, torch::full({3}, 1e6f)))[q];
    REQUIRE(at::allclose(loose, maps[q].flatten(), 1e-4, 1e-5));
  }
}

TEST_CASE("condinst: locations lie in the middle of their cells, x fastest", "[model][golden]") {
  // A box at the origin: its first two distances are the location itself. A 2x2 map of stride 8.
  const view::Instances truth = boxes_of(1, {{0, 0, 16, 16}}, {16, 16});
  const auto positives = condinst_targets(truth, {{2, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, CondInstConfig{});
  std::vector<std::pair<float, float>> locations;
  for (const CondInstPositive& p : positives) {
    if (p.level == 0) locations.emplace_back(8 * p.distances[0], 8 * p.distances[1]);
  }
  CHECK(locations == std::vector<std::pair<float, float>>{{4.f, 4.f}, {12.f, 4.f}, {4.f, 12.f}, {12.f, 12.f}});
}

TEST_CASE("condinst: foreign coordinates are the pixel's own, the query's, or none", "[model][property]") {
  const at::Tensor map = formula("map", {8, 12, 16}, -1, 1);
  const at::Tensor anchor = torch::tensor({60.0f, 28.0f, 0.0f});
  const auto logits = [&](const std::string& foreign, const at::Tensor& of_pixels, float shift) {
    Foreign s(foreign);
    PixelSet pixels = pixels_of(map, of_pixels);
    pixels.position = pixels.position + shift;
    return s.segmenter->pixel_logits(s.queries, pixels).detach();
  };
  const at::Tensor moved = anchor + torch::tensor({16.0f, 16.0f, 0.0f});
  // Moving pixel and instance together changes nothing for "own", the instance nothing for "overlay", neither for "zero".
  CHECK(at::allclose(logits("own", anchor, 0), logits("own", moved, 16), 1e-4, 1e-5));
  CHECK_FALSE(at::allclose(logits("own", anchor, 0), logits("own", moved, 0), 1e-2, 1e-2));
  CHECK(logits("overlay", anchor, 0).equal(logits("overlay", moved, 0)));
  CHECK_FALSE(at::allclose(logits("overlay", anchor, 0), logits("overlay", anchor, 16), 1e-2, 1e-2));
  CHECK(logits("zero", anchor, 0).equal(logits("zero", moved, 16)));
  CHECK_THROWS_AS(make_segmenter(tiny_condinst("theirs"), 3, 1), Error);
}

TEST_CASE("condinst: every image's cap leaves the dense losses alone", "[model][property]") {
  Foreign s;
  json config = tiny_condinst();
  config["max_positives"] = 3;
  const auto capped = make_segmenter(config, 3, 1);
  const Queries few = capped->assign(s.encoded, s.truth);
  REQUIRE(few.count() == 3);
  REQUIRE(s.queries.count() > 3);
  CHECK(few.vectors.equal(capped->assign(s.encoded, s.truth).vectors));
  const Losses all = s.segmenter->base_losses(s.encoded, s.queries, s.truth);
  const Losses some = capped->base_losses(s.encoded, few, s.truth);
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}}) CHECK(all[i].second.equal(some[i].second));
  CHECK(all[3].second.item<double>() != some[3].second.item<double>());
}

TEST_CASE("condinst: an image without instances trains on background alone and detects in its frame", "[model][error]") {
  Foreign s;
  const std::vector<view::Instances> none = {boxes_of(1, {}, {96, 128}), boxes_of(2, {}, {96, 128})};
  const Queries queries = s.segmenter->assign(s.encoded, none);
  REQUIRE(queries.count() == 0);
  at::Tensor sum = torch::zeros({});
  for (const auto& [name, value] : s.segmenter->base_losses(s.encoded, queries, none)) {
    CHECK((name == "class" || value.item<double>() == 0));
    sum = sum + value;
  }
  sum.backward();
  for (const auto& item : s.segmenter->named_parameters()) {
    CAPTURE(item.key());
    CHECK(item.value().grad().defined());
  }
}

TEST_CASE("condinst: an empty mask and a cell smaller than the stride", "[model][error]") {
  Foreign s;
  view::Instances truth = boxes_of(1, {{0, 0, 0, 0}, {41, 33, 43, 35}}, {96, 128});
  const auto positives = condinst_targets(truth, {{12, 16}, {6, 8}, {3, 4}, {2, 2}, {1, 1}}, CondInstConfig{});
  CHECK(positives.empty());  // no location lies inside the small box
  const at::Tensor cells = s.segmenter->instance_cells(truth);
  CHECK(cells[0].sum().item<int64_t>() == 0);
  CHECK(cells[1].sum().item<int64_t>() == 1);
  CHECK(cells[1][4][5].item<bool>());
}

TEST_CASE("condinst: suppression keeps the best box of each class and region", "[model][property]") {
  const at::Tensor boxes = torch::tensor({0.f, 0.f, 10.f, 10.f, 1.f, 0.f, 11.f, 10.f, 0.f, 0.f, 10.f, 10.f, 20.f, 20.f, 30.f, 30.f})
                               .view({4, 4});
  const at::Tensor scores = torch::tensor({0.5f, 0.9f, 0.8f, 0.1f});
  const auto kept = [&](std::vector<int64_t> labels) { return box_nms(boxes, scores, torch::tensor(labels, at::kLong), 0.6); };
  CHECK(kept({0, 0, 0, 0}).equal(torch::tensor({1, 3}, at::kLong)));
  CHECK(kept({0, 0, 1, 0}).equal(torch::tensor({1, 2, 3}, at::kLong)));
  CHECK(box_nms(boxes.slice(0, 0, 0), scores.slice(0, 0, 0), torch::zeros({0}, at::kLong), 0.6).numel() == 0);
}
