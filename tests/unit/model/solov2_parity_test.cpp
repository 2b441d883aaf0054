#include <nlohmann/json.hpp>

#include "lib/model/common.h"
#include "lib/model/segmenter.h"
#include "lib/model/solov2/matrix_nms.h"
#include "lib/model/solov2/solov2.h"
#include "lib/model/solov2/targets.h"
#include "tests/unit/model/grid_parity.h"

// The numbers come from AdelaiDet itself: scripts/gen_fixtures_solov2.py, whose header defines the formulas.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

}  // namespace

TEST_CASE("solov2: a small network gives the reference's numbers at every stage", "[model][golden]") {
  check_network("solov2_r18.json");
}

TEST_CASE("solov2: ResNet-50 at its published size gives the reference's numbers", "[model][golden]") {
  check_network("solov2_r50.json");
}

TEST_CASE("solov2: target cells, labels and masks are the reference's", "[model][golden]") {
  for (const json& scene : fixture("solov2_targets.json").at("scenes")) {
    INFO(scene.at("name"));
    const Solov2Config config;
    const view::Instances truth = truth_of(scene);
    const Solov2Targets targets = solov2_targets(truth, config);
    std::vector<std::vector<int64_t>> cells, labels;
    for (const Solov2Cell& c : targets.cells) cells.push_back({c.level, c.row, c.column, c.instance});
    for (size_t l = 0; l < targets.labels.size(); ++l) {
      for (size_t i = 0; i < targets.labels[l].size(); ++i) {
        const auto grid = static_cast<size_t>(config.grids[l]);
        if (targets.labels[l][i] < 0) continue;
        labels.push_back({static_cast<int64_t>(l), static_cast<int64_t>(i / grid), static_cast<int64_t>(i % grid),
                          targets.labels[l][i]});
      }
    }
    CHECK(json(cells) == scene.at("cells"));
    CHECK(json(labels) == scene.at("labels"));
    const at::Tensor quarter = quarter_masks(truth.masks);
    for (int64_t n = 0; n < truth.count(); ++n) {
      const json& wanted = scene.at("mask_sums")[static_cast<size_t>(n)];
      if (wanted.is_null()) continue;  // belongs to no level
      const at::Tensor set = at::nonzero(quarter[n]);
      const std::vector<int64_t> sums = {set.size(0), set.select(1, 1).sum().item<int64_t>(),
                                         set.select(1, 0).sum().item<int64_t>()};
      CHECK(json(sums) == wanted);
    }
  }
}

TEST_CASE("solov2: losses are the reference's", "[model][golden]") {
  const json data = fixture("solov2_targets.json");
  const int64_t classes = data.at("classes");
  Solov2Config config;
  config.backbone.choice = nn::ResNetConfig{.name = "resnet18"};
  config.embedding = data.at("embedding");
  Solov2 segmenter(config, classes);
  for (const json& wanted : data.at("losses")) {
    INFO(wanted.dump());
    const std::string tag = wanted.at("tag");
    std::vector<view::Instances> truth;
    for (const json& name : wanted.at("scenes")) {
      for (const json& scene : data.at("scenes")) {
        if (scene.at("name") == name) truth.push_back(truth_of(scene));
      }
    }
    REQUIRE(truth.size() == wanted.at("scenes").size());
    const Encoded encoded = encoded_of(tag, {truth[0].masks.size(1), truth[0].masks.size(2)},
                                     static_cast<int64_t>(truth.size()), classes, config);
    const Losses losses = segmenter.base_losses(encoded, segmenter.assign(encoded, truth), truth);
    REQUIRE(losses.size() == 2);
    for (const auto& [name, value] : losses) CHECK(value.item<double>() == Approx(wanted.at(name).get<double>()).epsilon(1e-5));
  }
}

TEST_CASE("solov2: suppression gives the reference's scores", "[model][golden]") {
  const json data = fixture("solov2_targets.json");
  const json& nms = data.at("nms");
  json scene = {{"canvas", nms.at("size")}, {"valid", nms.at("size")}, {"objects", nms.at("objects")}};
  const view::Instances truth = truth_of(scene);
  const at::Tensor scores = torch::tensor(nms.at("scores").get<std::vector<float>>());
  const at::Tensor decayed = matrix_nms(truth.masks.flatten(1).to(at::kFloat), truth.labels, scores, nms.at("sigma"));
  const auto wanted = nms.at("decayed").get<std::vector<float>>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    CHECK(decayed[static_cast<int64_t>(i)].item<float>() == Approx(wanted[i]).epsilon(1e-5));
  }
  const json& points = data.at("points");
  const at::Tensor kept = points_nms(formula("points", points.at("shape").get<std::vector<int64_t>>(), 0, 1));
  const at::Tensor places = at::nonzero(kept.flatten()).flatten();
  CHECK(places.equal(torch::tensor(points.at("kept").get<std::vector<int64_t>>(), at::kLong)));
}
