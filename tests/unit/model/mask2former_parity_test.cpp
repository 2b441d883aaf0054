#include <nlohmann/json.hpp>

#include "lib/model/mask2former/criterion.h"
#include "lib/model/mask2former/mask2former.h"
#include "tests/unit/model/parity.h"

// The numbers come from Hugging Face's Mask2Former: scripts/gen_fixtures_mask2former.py, which tells the formulas.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

bool ends(const std::string& name, const std::string& end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// The generator's parameter().
at::Tensor parameter(const std::string& name, const at::Tensor& like) {
  double low = -0.1, high = 0.1;
  if (like.dim() > 1) {
    const bool table = ends(name, "query_feat.weight") || ends(name, "query_embed.weight") ||
                       ends(name, "level_embed.weight") || ends(name, "level_embed");
    high = table ? 1.7 : (like.dim() == 4 ? 1.4 : 1) * std::sqrt(3.0 / static_cast<double>(like[0].numel()));
    low = -high;
  } else if (ends(name, "sampling_offsets.bias")) {
    low = -4, high = 4;
  } else if (ends(name, ".weight")) {
    low = 0.5, high = 1.5;
  }
  return formula(name, like.sizes().vec(), low, high);
}

std::shared_ptr<Segmenter> filled(const json& data) {
  const auto segmenter = make_segmenter(data.at("model"), data.at("classes"), /*seed=*/0);
  const torch::NoGradGuard guard;
  int64_t elements = 0;
  for (const auto& item : segmenter->named_parameters()) {
    if (item.key().rfind("sem_seg_head.", 0) != 0) continue;
    item.value().copy_(parameter(item.key(), item.value()));
    elements += item.value().numel();
  }
  CHECK(elements == data.at("parameters"));
  return segmenter;
}

Encoded encode(Segmenter& segmenter, const json& data, const std::string& tag, const std::vector<int64_t>& canvas,
               int64_t batch) {
  FeaturePyramid maps;
  for (size_t l = 0; l < 4; ++l) {
    const auto cells = [&](int64_t side) { return (side + (int64_t{4} << l) - 1) / (int64_t{4} << l); };
    maps.push_back(formula(tag + "map" + std::to_string(l),
                           {batch, data.at("channels")[l].get<int64_t>(), cells(canvas[0]), cells(canvas[1])}, -1, 1));
  }
  const view::Size size{canvas[0], canvas[1]};
  return segmenter.encode(maps, {size, std::vector<view::Size>(static_cast<size_t>(batch), size)});
}

void check_forward(const char* file) {
  const json data = fixture(file);
  const auto segmenter = filled(data);
  const torch::NoGradGuard guard;
  for (const json& run : data.at("runs")) {
    INFO(run.at("canvas").dump());
    REQUIRE(run.at("opened_rows") > 0);  // else the rule of full rows is not tested
    const Encoded encoded = encode(*segmenter, data, "", run.at("canvas"), run.at("batch"));
    const auto& rounds = own_state<Mask2FormerRounds>(encoded.heads);
    std::vector<at::Tensor> outputs = {encoded.neck[3], encoded.neck[2], encoded.neck[1], encoded.mask_features};
    outputs.insert(outputs.end(), rounds.classes.begin(), rounds.classes.end());
    for (const at::Tensor& embeddings : rounds.embeddings) {
      outputs.push_back(at::einsum("bqd,bdhw->bqhw", {embeddings, encoded.mask_features}));
    }
    REQUIRE(outputs.size() == run.at("outputs").size());
    for (size_t i = 0; i < outputs.size(); ++i) check_output(run.at("outputs")[i], outputs[i], 1e-3);
  }
}

std::vector<view::Instances> mask2former_truths(const json& scenes, const json& names) {
  std::vector<view::Instances> truth;
  for (const json& name : names) {
    for (const json& scene : scenes) {
      if (scene.at("name") != name) continue;
      if (scene.at("objects").empty()) {
        const auto canvas = scene.at("canvas").get<std::vector<int64_t>>();
        truth.push_back({0, torch::zeros({0}, at::kLong), torch::zeros({0, canvas[0], canvas[1]}, at::kBool), {}});
      } else {
        truth.push_back(truth_of(scene));
      }
    }
  }
  REQUIRE(truth.size() == names.size());
  return truth;
}

at::Tensor fixed_points(const PointRequest& request) {
  const char* const uses[] = {"matching.", "candidates.", "uniform."};
  const std::string which = std::to_string(request.image) + "." + std::to_string(request.round);
  return formula(uses[static_cast<size_t>(request.use)] + which, {request.rows, request.count, 2}, 0, 1);
}

}  // namespace

TEST_CASE("mask2former: a small network gives the reference's logits in all rounds, also at odd sizes", "[model][golden]") {
  check_forward("mask2former_tiny.json");
}

TEST_CASE("mask2former: the published size gives the reference's logits in all rounds", "[model][golden]") {
  check_forward("mask2former_r50.json");
}

TEST_CASE("mask2former: pairs, losses and gradients with given points are the reference's", "[model][golden]") {
  const json data = fixture("mask2former_tiny.json");
  const auto segmenter = filled(data);
  const auto config = data.at("model").get<Mask2FormerConfig>();
  for (const json& wanted : data.at("training")) {
    INFO(wanted.at("scenes").dump());
    const auto truth = mask2former_truths(data.at("scenes"), wanted.at("scenes"));
    const Encoded encoded = encode(*segmenter, data, wanted.at("tag"), {truth[0].masks.size(1), truth[0].masks.size(2)},
                                   static_cast<int64_t>(truth.size()));
    const auto& rounds = own_state<Mask2FormerRounds>(encoded.heads);
    const at::Tensor pairs = match(rounds, encoded.mask_features, truth, config, fixed_points);
    json found = json::array();
    for (int64_t i = 0; i < pairs.size(0); ++i) {
      json pair = json::array();
      for (int64_t c = 0; c < 4; ++c) pair.push_back(pairs[i][c].item<int64_t>());
      found.push_back(pair);
    }
    REQUIRE(found == wanted.at("pairs"));  // scipy's assignment

    const Mask2FormerLosses losses = criterion(rounds, encoded.mask_features, pairs, truth, config, fixed_points);
    for (size_t r = 0; r < wanted.at("losses").size(); ++r) {
      INFO("round " << r);
      const auto row = wanted.at("losses")[r].get<std::vector<double>>();
      const auto index = static_cast<int64_t>(r);
      CHECK(losses.classes[index].item<double>() == Approx(row[0]).epsilon(1e-4));
      CHECK(losses.mask[index].item<double>() == Approx(row[1]).epsilon(1e-4));
      CHECK(losses.dice[index].item<double>() == Approx(row[2]).epsilon(1e-4));
    }
    segmenter->zero_grad();
    (losses.classes + losses.mask + losses.dice).sum().backward();
    const auto parameters = segmenter->named_parameters();
    for (const json& gradient : wanted.at("gradients")) {
      const auto name = gradient.at("name").get<std::string>();
      const at::Tensor* tensor = parameters.find(name);
      REQUIRE(tensor);
      // Bilinear sampling has a kink at every pixel: a location that rounding moves across one gives another gradient.
      check_output(gradient, tensor->grad(), name.find("sampling_offsets") == std::string::npos ? 1e-3 : 1e-2);
    }
  }
}
