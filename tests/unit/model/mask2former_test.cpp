#include "lib/model/mask2former/mask2former.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/model/mask2former/criterion.h"
#include "lib/nn/transformer.h"
#include "tests/unit/model/parity.h"

// What the contract promises, and pieces against plain loops.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

const view::Size kTinyCanvas{96, 128};

json tiny_mask2former() {
  return {{"name", "mask2former"}, {"backbone", {{"name", "resnet10"}, {"width", 8}, {"freeze", 0}}},
          {"width", 16},           {"embedding", 12},
          {"groups", 4},           {"heads", 2},
          {"encoder_layers", 1},   {"encoder_ffn", 16},
          {"queries", 6},          {"decoder_layers", 3},
          {"decoder_ffn", 16},     {"loss_points", 64}};
}

view::Instances boxed_truth(int64_t image_id, const std::vector<std::vector<int64_t>>& boxes) {
  view::Instances truth;
  truth.image_id = image_id;
  truth.masks = torch::zeros({static_cast<int64_t>(boxes.size()), kTinyCanvas.height, kTinyCanvas.width}, at::kBool);
  for (size_t n = 0; n < boxes.size(); ++n) {
    const auto& b = boxes[n];  // x0, y0, x1, y1
    truth.masks[static_cast<int64_t>(n)].slice(0, b[1], b[3]).slice(1, b[0], b[2]).fill_(true);
    truth.instance_ids.push_back(static_cast<int64_t>(n));
  }
  truth.labels = torch::arange(static_cast<int64_t>(boxes.size()), at::kLong) % 3;
  return truth;
}

struct Mask2FormerSetting {
  std::shared_ptr<Segmenter> segmenter;
  std::vector<view::Instances> truth;
  Encoded encoded;
  Queries queries;

  explicit Mask2FormerSetting(const json& config = tiny_mask2former(), uint64_t draw = 0,
                   std::vector<view::Instances> scenes = {boxed_truth(1, {{20, 16, 60, 70}, {70, 60, 120, 90}}),
                                                            boxed_truth(2, {{8, 8, 100, 88}})})
      : segmenter(make_segmenter(config, 3, 1)), truth(std::move(scenes)) {
    const auto batch = static_cast<int64_t>(truth.size());
    const at::Tensor images = formula("images", {batch, 3, kTinyCanvas.height, kTinyCanvas.width}, -2, 2);
    encoded = segmenter->encode(segmenter->backbone(images), {kTinyCanvas, {truth.size(), kTinyCanvas}, draw});
    queries = segmenter->assign(encoded, truth);
  }
  double total() {
    double sum = 0;
    for (const auto& [name, value] : segmenter->base_losses(encoded, queries, truth)) sum += value.item<double>();
    return sum;
  }
};

int64_t count_parameters(const char* backbone, int64_t queries = 100) {
  const json config = {{"name", "mask2former"}, {"backbone", {{"name", backbone}}}, {"queries", queries}};
  const Mask2Former segmenter(config.get<Mask2FormerConfig>(), 80);
  int64_t count = 0;
  for (const auto& item : segmenter.named_parameters()) count += item.value().numel();
  for (const auto& item : segmenter.named_buffers()) {  // affine parts of frozen norms
    const std::string& name = item.key();
    if (name.find("norm.weight") != std::string::npos || name.find("norm.bias") != std::string::npos) {
      count += item.value().numel();
    }
  }
  return count;
}

// One bilinear value, pixel by pixel.
double bilinear(const at::Tensor& mask, double x, double y) {
  const double px = x * static_cast<double>(mask.size(1)) - 0.5, py = y * static_cast<double>(mask.size(0)) - 0.5;
  double sum = 0;
  for (int64_t row = 0; row < mask.size(0); ++row) {
    for (int64_t column = 0; column < mask.size(1); ++column) {
      const double wx = 1 - std::abs(px - static_cast<double>(column)), wy = 1 - std::abs(py - static_cast<double>(row));
      if (wx > 0 && wy > 0) sum += wx * wy * mask[row][column].item<double>();
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("mask2former: parameter counts are the published models'", "[model][golden]") {
  CHECK(count_parameters("resnet50") == 44023377);
  CHECK(count_parameters("resnet101") == 63015505);
  CHECK(count_parameters("swin_t") == 47421643);
  CHECK(count_parameters("swin_s") == 68739547);
  CHECK(count_parameters("swin_b") == 106904201);
  CHECK(count_parameters("swin_l", 200) == 215521989);
}

TEST_CASE("mask2former: a fresh model starts as the reference", "[model][property]") {
  const auto segmenter = make_segmenter({{"name", "mask2former"}, {"encoder_layers", 1}, {"decoder_layers", 1}}, 80, 1);
  const auto parameters = segmenter->named_parameters();
  const auto of = [&](const std::string& name) { return parameters["sem_seg_head." + name].detach(); };
  const std::string encoder = "pixel_decoder.transformer.encoder.layers.0.";
  CHECK(of(encoder + "self_attn.sampling_offsets.weight").abs().max().item<double>() == 0);
  const at::Tensor offsets = of(encoder + "self_attn.sampling_offsets.bias").view({8, 3, 4, 2});
  for (int64_t point = 0; point < 4; ++point) {  // head 1 points to 45 degrees, head 2 down, to the maximum norm
    const double step = static_cast<double>(point + 1);
    CHECK(at::allclose(offsets[1][2][point], torch::tensor({step, step}).to(at::kFloat), 1e-5, 1e-5));
    CHECK(at::allclose(offsets[2][0][point], torch::tensor({0.0, step}).to(at::kFloat), 1e-5, 1e-5));
  }
  const auto bound = [&](const std::string& name, double wanted) {
    CAPTURE(name);
    const double largest = of(name).abs().max().item<double>();
    CHECK(largest <= wanted);
    CHECK(largest > 0.95 * wanted);
  };
  bound(encoder + "self_attn.value_proj.weight", std::sqrt(6.0 / 512));
  bound(encoder + "linear1.weight", std::sqrt(6.0 / 1280));
  bound("pixel_decoder.input_proj.0.0.weight", std::sqrt(6.0 / (2048 + 256)));
  bound("pixel_decoder.layer_1.weight", std::sqrt(3.0 / (9 * 256)));
  bound("predictor.transformer_cross_attention_layers.0.multihead_attn.in_proj_weight", std::sqrt(6.0 / 1024));
  bound("predictor.class_embed.weight", 1.0 / 16);
  CHECK(of("predictor.query_feat.weight").std().item<double>() == Approx(1).epsilon(0.05));
  CHECK(of("pixel_decoder.transformer.level_embed").std().item<double>() == Approx(1).epsilon(0.1));
  for (const char* name : {"pixel_decoder.mask_features.bias", "pixel_decoder.input_proj.1.0.bias",
                           "predictor.transformer_self_attention_layers.0.self_attn.in_proj_bias"}) {
    CHECK(of(name).abs().max().item<double>() == 0);
  }
}

TEST_CASE("mask2former: masks and maps are read between pixels, with zeros outside", "[model][property]") {
  const at::Tensor masks = formula("masks", {2, 5, 7}, 0, 1) > 0.5;
  const at::Tensor points = formula("points", {3, 40, 2}, 0, 1);
  points.slice(1, 0, 4).copy_(torch::tensor({0.0f, 0.0f, 0.9999f, 0.5f, 0.5f, 0.9999f, 0.01f, 0.99f}).view({4, 2}));
  const std::vector<int64_t> instance = {1, 0, 1};
  const at::Tensor rows = read_masks(masks, torch::tensor(instance, at::kLong), points);
  const at::Tensor all = read_all_masks(masks, points);
  const at::Tensor maps = read_maps(masks.to(at::kFloat).index_select(0, torch::tensor(instance, at::kLong)), points);
  const at::Tensor features = read_features(masks.to(at::kFloat), points);
  for (int64_t r = 0; r < 3; ++r) {
    const int64_t n = instance[static_cast<size_t>(r)];
    for (int64_t p = 0; p < 40; ++p) {
      const double wanted = bilinear(masks[n], points[r][p][0].item<double>(), points[r][p][1].item<double>());
      for (const at::Tensor& value : {rows[r][p], all[r][n][p], maps[r][p], features[r][n][p]}) {
        REQUIRE(value.item<double>() == Approx(wanted).margin(1e-5));
      }
    }
  }
  CHECK(read_all_masks(masks.slice(0, 0, 0), points).sizes() == at::IntArrayRef({3, 0, 40}));
}

TEST_CASE("mask2former: positions count from one to a full turn", "[model][property]") {
  const at::Tensor positions = nn::sine_positions(3, 5, 8, torch::zeros({}));
  REQUIRE(positions.sizes() == at::IntArrayRef({15, 8}));
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t column = 0; column < 5; ++column) {
      for (int64_t c = 0; c < 8; ++c) {
        const double share = c < 4 ? static_cast<double>(row + 1) / 3 : static_cast<double>(column + 1) / 5;
        const double angle = 2 * 3.14159265358979 * share / std::pow(10000.0, static_cast<double>(c % 4 / 2) / 2);
        const double wanted = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
        REQUIRE(positions[row * 5 + column][c].item<double>() == Approx(wanted).margin(1e-5));
      }
    }
  }
}

TEST_CASE("mask2former: loose pixels of a map have the map's logits", "[model][property]") {
  for (const char* layers : {"last", "all"}) {
    json config = tiny_mask2former();
    config["method_layers"] = layers;
    Mask2FormerSetting s(config);
    REQUIRE(s.queries.count() == (std::string(layers) == "all" ? 4 * 3 : 3));
    const at::Tensor maps = s.segmenter->mask_logits(s.queries, s.encoded.mask_features);  // [Q, H, W]
    for (int64_t q = 0; q < s.queries.count(); ++q) {
      PixelSet pixels;
      pixels.embeddings = s.encoded.mask_features[s.queries.image[q].item<int64_t>()].flatten(1).t();
      pixels.position = torch::zeros({pixels.count(), 2});
      pixels.anchor = torch::zeros({pixels.count(), 3});
      REQUIRE(at::allclose(s.segmenter->pixel_logits(s.queries, pixels)[q], maps[q].flatten(), 1e-4, 1e-5));
    }
  }
}

TEST_CASE("mask2former: random points are drawn from the frame, and from nothing else", "[model][property]") {
  Mask2FormerSetting s, same, other(tiny_mask2former(), 7);
  CHECK(s.total() == same.total());
  CHECK(s.total() == s.total());  // no state moves along
  CHECK(s.total() != other.total());
  CHECK(s.encoded.mask_features.equal(other.encoded.mask_features));
  const PointSource source = random_points(3, torch::zeros({}));
  const at::Tensor points = source({PointRequest::Use::kUniform, 1, 2, 5, 1000});
  CHECK(points.equal(source({PointRequest::Use::kUniform, 1, 2, 5, 1000})));
  CHECK_FALSE(points.equal(source({PointRequest::Use::kCandidates, 1, 2, 5, 1000})));
  CHECK_FALSE(points.equal(source({PointRequest::Use::kUniform, 2, 1, 5, 1000})));
  CHECK(points.min().item<float>() >= 0);
  CHECK(points.max().item<float>() < 1);
  CHECK(points.mean().item<double>() == Approx(0.5).margin(0.02));
}

TEST_CASE("mask2former: every instance has a query of its own in every round", "[model][property]") {
  Mask2FormerSetting s;
  const at::Tensor pairs = own_state<Mask2FormerTargets>(s.queries.targets).pairs;  // image, round, query, instance, label
  REQUIRE(pairs.size(0) == 4 * 3);
  for (int64_t i = 0; i < pairs.size(0); ++i) {
    const auto at = [&](int64_t row, int64_t column) { return pairs[row][column].item<int64_t>(); };
    CHECK(at(i, 4) == s.truth[static_cast<size_t>(at(i, 0))].labels[at(i, 3)].item<int64_t>());
    for (int64_t j = 0; j < i; ++j) {
      const bool same_round = at(i, 0) == at(j, 0) && at(i, 1) == at(j, 1);
      CHECK_FALSE((same_round && (at(i, 2) == at(j, 2) || at(i, 3) == at(j, 3))));
    }
  }
  CHECK(s.queries.score.min().item<float>() > 0);
  CHECK_FALSE(s.queries.score.requires_grad());
}

TEST_CASE("mask2former: more instances than queries leave some without, and all count in the losses", "[model][error]") {
  std::vector<std::vector<int64_t>> boxes;
  for (int64_t i = 0; i < 9; ++i) boxes.push_back({4 + 12 * i, 10, 14 + 12 * i, 40});
  Mask2FormerSetting s(tiny_mask2former(), 0, {boxed_truth(1, boxes)});
  CHECK(s.queries.count() == 6);
  CHECK(std::isfinite(s.total()));
}

TEST_CASE("mask2former: an image without instances trains on no-object alone", "[model][error]") {
  Mask2FormerSetting s(tiny_mask2former(), 0, {boxed_truth(1, {}), boxed_truth(2, {})});
  REQUIRE(s.queries.count() == 0);
  at::Tensor sum = torch::zeros({});
  for (const auto& [name, value] : s.segmenter->base_losses(s.encoded, s.queries, s.truth)) {
    CHECK((name == "class") == (value.item<double>() > 0));
    sum = sum + value;
  }
  CHECK(s.segmenter->mask_loss(s.queries, s.encoded.mask_features, s.truth, {}).item<double>() == 0);
  sum.backward();
  for (const auto& item : s.segmenter->named_parameters()) {
    CAPTURE(item.key());
    CHECK(item.value().grad().defined());
  }
  Mask2FormerSetting half(tiny_mask2former(), 0, {boxed_truth(1, {}), boxed_truth(2, {{8, 8, 100, 88}})});
  CHECK(half.queries.image.equal(torch::ones({1}, at::kLong)));
  CHECK(std::isfinite(half.total()));
}

TEST_CASE("mask2former: costs that are not numbers are an error that names the image", "[model][error]") {
  Mask2FormerSetting s;
  s.encoded.mask_features = s.encoded.mask_features.detach().clone();
  s.encoded.mask_features[1].fill_(std::numeric_limits<float>::quiet_NaN());
  CHECK_THROWS_WITH(s.segmenter->assign(s.encoded, s.truth), Catch::Contains("image 2"));
}

TEST_CASE("mask2former: detections are the best pairs of query and class, and masks weigh in later", "[model][property]") {
  json config = tiny_mask2former();
  config["max_detections"] = 10;  // of 6 queries with 3 classes
  Mask2FormerSetting s(config);
  const Prediction found = s.segmenter->predict(s.encoded).at(0);
  const auto& rounds = own_state<Mask2FormerRounds>(s.encoded.heads);
  const at::Tensor scores = rounds.classes.back()[0].softmax(1).slice(1, 0, 3);  // [Q, C]
  CHECK(found.scores.equal(std::get<0>(scores.flatten().sort(0, true)).slice(0, 0, 10)));
  CHECK(found.threshold == 0);
  for (int64_t k = 0; k < 10; ++k) {
    const int64_t query = at::nonzero((scores == found.scores[k]).any(1))[0].item<int64_t>();
    CHECK(scores[query][found.labels[k]].equal(found.scores[k]));
    const at::Tensor mask = at::einsum("d,dhw->hw", {rounds.embeddings.back()[0][query], s.encoded.mask_features[0]});
    CHECK(at::allclose(found.masks[k], mask, 1e-4, 1e-5));
  }
  const at::Tensor masks = torch::tensor({1.0f, -1.0f, 3.0f, -5.0f, -1.0f, -1.0f, -1.0f, -1.0f}).view({2, 2, 2});
  const at::Tensor factors = s.segmenter->score_factors(masks);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(factors[0].item<double>() == Approx((sigmoid(1) + sigmoid(3)) / 2).epsilon(1e-5));
  CHECK(factors[1].item<double>() == 0);
}

TEST_CASE("mask2former: cells of small instances, and fields out of range", "[model][error]") {
  Mask2FormerSetting s;
  const at::Tensor cells = s.segmenter->instance_cells(boxed_truth(1, {{41, 33, 42, 34}, {8, 8, 16, 12}}));
  CHECK(cells[0].sum().item<int64_t>() == 1);
  CHECK(cells[0][8][10].item<bool>());
  CHECK(cells[1].sum().item<int64_t>() == 2);
  for (const auto& [key, value] : {std::pair<const char*, json>{"width", 18}, {"queries", 0}, {"importance", 1.5},
                                   {"method_layers", "first"}, {"oversample", 0.5}, {"no_object_weight", 0}}) {
    CAPTURE(key);
    json config = tiny_mask2former();
    config[key] = value;
    CHECK_THROWS_AS(make_segmenter(config, 3, 1), Error);
  }
}
