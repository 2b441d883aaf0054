#include <nlohmann/json.hpp>

#include "lib/model/condinst/boxes.h"
#include "lib/model/condinst/condinst.h"
#include "lib/model/condinst/targets.h"
#include "lib/nn/conv.h"
#include "tests/unit/model/condinst_parity.h"

// The numbers come from AdelaiDet itself: scripts/gen_fixtures_condinst.py, formulas as in gen_fixtures_solov2.py.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

void check_network(const char* file) {
  const json data = fixture(file);
  const auto segmenter = make_segmenter(data.at("model"), data.at("classes"), /*seed=*/0);
  const Count count = fill_segmenter(*segmenter);
  CHECK(count.names == data.at("names"));
  CHECK(count.elements == data.at("parameters"));
  segmenter->eval();
  const torch::NoGradGuard guard;
  for (const json& run : data.at("runs")) {
    const auto shape = run.at("input").get<std::vector<int64_t>>();
    INFO("input " << run.at("input").dump());
    const FeaturePyramid maps = segmenter->backbone(formula("input", shape, -2, 2));
    const Encoded encoded = segmenter->encode(maps, frame_of({shape[2], shape[3]}, shape[0]));
    Queries queries;
    const auto& heads = own_state<CondInstHeads>(encoded.heads);
    std::vector<at::Tensor> vectors, anchor;
    std::vector<int64_t> image;
    for (const json& cell : run.at("cells")) {
      const auto c = cell.get<std::vector<int64_t>>();  // image, level, row, column
      const int64_t stride = kStride << c[1];
      image.push_back(c[0]);
      vectors.push_back(heads.controllers.at(static_cast<size_t>(c[1]))[c[0]].select(2, c[3]).select(1, c[2]));
      anchor.push_back(torch::tensor({stride * c[3] + stride / 2, stride * c[2] + stride / 2, c[1]}).to(at::kFloat));
    }
    queries.vectors = at::stack(vectors);
    queries.anchor = at::stack(anchor);
    queries.image = torch::tensor(image, at::kLong);
    queries.instance = queries.label = torch::zeros_like(queries.image);
    queries.score = torch::zeros(queries.image.sizes());
    std::vector<at::Tensor> outputs(maps.begin() + 1, maps.end());
    outputs.insert(outputs.end(), encoded.neck.begin(), encoded.neck.end());
    for (const auto* kind : {&heads.classes, &heads.distances, &heads.centerness, &heads.controllers}) {
      outputs.insert(outputs.end(), kind->begin(), kind->end());
    }
    outputs.push_back(encoded.mask_features);
    const at::Tensor logits = segmenter->mask_logits(queries, encoded.mask_features).unsqueeze(1);
    outputs.push_back(aligned_bilinear(logits, kStride / data.at("model").value("mask_out_stride", 4)).squeeze(1));
    REQUIRE(outputs.size() == run.at("outputs").size());
    for (size_t i = 0; i < outputs.size(); ++i) check_output(run.at("outputs")[i], outputs[i]);
  }
}

std::vector<view::GroundTruth> truths_of(const json& scenes, const json& names) {
  std::vector<view::GroundTruth> truth;
  for (const json& name : names) {
    for (const json& scene : scenes) {
      if (scene.at("name") == name) truth.push_back(truth_of(scene));
    }
  }
  REQUIRE(truth.size() == names.size());
  return truth;
}

void check_losses(const Losses& losses, const json& wanted, double tolerance) {
  for (const auto& [name, value] : losses) {
    INFO(name);
    CHECK(value.item<double>() == Approx(wanted.at(name).get<double>()).epsilon(tolerance));
  }
}

}  // namespace

TEST_CASE("condinst: a small network gives the reference's numbers at every stage", "[model][golden]") {
  check_network("condinst_r18.json");
}

TEST_CASE("condinst: ResNet-50 at its published size gives the reference's numbers", "[model][golden]") {
  check_network("condinst_r50.json");
}

TEST_CASE("condinst: target locations, instances and distances are the reference's", "[model][golden]") {
  for (const json& scene : fixture("condinst_targets.json").at("scenes")) {
    INFO(scene.at("name"));
    const view::GroundTruth truth = truth_of(scene);
    const auto positives = condinst_targets(truth, level_sizes({truth.masks.size(1), truth.masks.size(2)}), {});
    json found = json::array();
    for (const CondInstPositive& p : positives) {
      json row = {p.level, p.row, p.column, p.instance};
      for (const float side : p.distances) row.push_back(static_cast<double>(side) * static_cast<double>(kStride << p.level));
      found.push_back(row);
    }
    CHECK(found == scene.at("positives"));
  }
}

TEST_CASE("condinst: losses are the reference's", "[model][golden]") {
  const json data = fixture("condinst_targets.json");
  CondInst segmenter(small_config(), 3);
  for (const json& wanted : data.at("losses")) {
    INFO(wanted.dump());
    const auto truth = truths_of(data.at("scenes"), wanted.at("scenes"));
    const Encoded encoded = encoded_of(wanted.at("tag"), {truth[0].masks.size(1), truth[0].masks.size(2)},
                                     static_cast<int64_t>(truth.size()), 3);
    const Queries queries = segmenter.assign(encoded, truth);
    CHECK(queries.count() == wanted.at("positives").get<int64_t>());
    const Losses losses = segmenter.base_losses(encoded, queries, truth);
    REQUIRE(losses.size() == 4);
    check_losses(losses, wanted, 1e-5);
  }
}

TEST_CASE("condinst: a training step gives the reference's losses and gradients", "[model][golden]") {
  const json data = fixture("condinst_r18.json");
  const json& wanted = data.at("training");
  const auto segmenter = make_segmenter(data.at("model"), data.at("classes"), /*seed=*/0);
  fill_segmenter(*segmenter);
  segmenter->train();
  const auto truth = truths_of(fixture("condinst_targets.json").at("scenes"), wanted.at("scenes"));
  const view::Size canvas{truth[0].masks.size(1), truth[0].masks.size(2)};
  const at::Tensor images = formula("input", {2, 3, canvas.height, canvas.width}, -2, 2);
  const Encoded encoded = segmenter->encode(segmenter->backbone(images), frame_of(canvas, 2));
  const Losses losses = segmenter->base_losses(encoded, segmenter->assign(encoded, truth), truth);
  REQUIRE(losses.size() == 5);
  check_losses(losses, wanted, 1e-4);
  at::Tensor sum = torch::zeros({});
  for (const auto& [name, value] : losses) sum = sum + value;
  sum.backward();
  const auto parameters = segmenter->named_parameters();
  for (const json& gradient : wanted.at("gradients")) {
    const at::Tensor* parameter = parameters.find(gradient.at("name").get<std::string>());
    REQUIRE(parameter);
    check_output(gradient, parameter->grad(), 1e-3);
  }
}

TEST_CASE("condinst: detections are the reference's", "[model][golden]") {
  const json wanted = fixture("condinst_targets.json").at("detections");
  const auto size = [&](const char* key) { return view::Size{wanted.at(key)[0], wanted.at(key)[1]}; };
  const view::Size canvas = size("canvas"), valid = size("valid"), original = size("original");
  CondInst segmenter(small_config(), 3);
  segmenter.eval();
  const torch::NoGradGuard guard;
  Encoded encoded = encoded_of(wanted.at("tag"), canvas, 1, 3);
  encoded.frame.valid = {valid};
  const Prediction found = segmenter.predict(encoded).at(0);
  REQUIRE(json(std::vector<int64_t>(found.labels.data_ptr<int64_t>(), found.labels.data_ptr<int64_t>() + found.labels.numel())) ==
          wanted.at("labels"));
  const auto scores = wanted.at("scores").get<std::vector<double>>();
  for (size_t i = 0; i < scores.size(); ++i) {
    CHECK(found.scores[static_cast<int64_t>(i)].item<double>() == Approx(scores[i]).epsilon(1e-5));
  }
  check_output(wanted.at("soft"), found.masks);
  const at::Tensor full = segmenter.to_canvas(found.masks, canvas).slice(1, 0, valid.height).slice(2, 0, valid.width);
  const at::Tensor masks = nn::resize_bilinear(full.unsqueeze(1), original.height, original.width) > found.threshold;
  const auto areas = wanted.at("areas").get<std::vector<int64_t>>();
  for (size_t i = 0; i < areas.size(); ++i) {
    // A pixel on the threshold may fall to either side.
    CHECK(std::abs(masks[static_cast<int64_t>(i)].sum().item<int64_t>() - areas[i]) <= 1 + areas[i] / 1000);
  }
}
