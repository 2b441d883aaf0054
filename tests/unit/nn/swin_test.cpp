#include "lib/nn/swin.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/nn/swin_block.h"
#include "tests/unit/model/parity.h"

namespace {

using namespace iuq;
using namespace iuq::test;

// As scripts/gen_fixtures_swin.py makes them.
void fill_swin(torch::nn::Module& swin) {
  const torch::NoGradGuard guard;
  for (const auto& item : swin.named_parameters()) {
    const std::string& name = item.key();
    const at::Tensor& tensor = item.value();
    double low = -0.5, high = 0.5;
    if (name.ends_with("relative_position_bias_table")) {
      low = -2, high = 2;
    } else if (tensor.dim() > 1) {
      high = std::sqrt(3.0 / static_cast<double>(tensor[0].numel()));
      low = -high;
    } else if (name.ends_with(".weight")) {
      low = 0.5, high = 1.5;
    }
    tensor.copy_(formula(name, tensor.sizes().vec(), low, high));
  }
}

int64_t count_parameters(const json& config) {
  const nn::SwinImpl swin(config.get<nn::SwinConfig>());
  int64_t count = 0;
  for (const at::Tensor& parameter : swin.parameters()) count += parameter.numel();
  return count;
}

std::shared_ptr<nn::SwinImpl> tiny(const json& changes = json::object()) {
  json config = {{"name", "swin_t"}, {"embed", 16}, {"depths", {2, 2, 2, 1}}, {"heads", {1, 2, 2, 4}}, {"window", 4}};
  config.update(changes);
  const auto swin = std::make_shared<nn::SwinImpl>(config.get<nn::SwinConfig>());
  fill_swin(*swin);
  swin->eval();
  return swin;
}

double difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, (a[i] - b[i]).abs().max().item<double>() / b[i].abs().mean().item<double>());
  }
  return most;
}

}  // namespace

TEST_CASE("swin: every stage gives the reference's numbers, recorded for gradients or not", "[nn][golden]") {
  const json data = fixture("swin.json");
  REQUIRE(data.at("networks").size() == 4);
  for (const json& network : data.at("networks")) {
    INFO(network.at("name"));
    const json config = network.at("config");
    nn::SwinImpl swin(config.get<nn::SwinConfig>());
    fill_swin(swin);
    swin.eval();
    CHECK(count_parameters(config) == network.at("parameters"));
    for (const json& run : network.at("runs")) {
      INFO("input " << run.at("input").dump());
      const at::Tensor images = formula("input", run.at("input").get<std::vector<int64_t>>(), -2, 2);
      for (const bool recorded : {false, true}) {
        CAPTURE(recorded);
        if (recorded && !run.contains("gradients")) continue;
        const torch::AutoGradMode mode(recorded);
        const std::vector<at::Tensor> maps = swin.forward(images);
        REQUIRE(maps.size() == 4);
        for (size_t i = 0; i < 4; ++i) check_output(run.at("outputs")[i], maps[i].detach());
        if (!recorded) continue;
        at::Tensor sum = torch::zeros({});
        for (size_t i = 0; i < 4; ++i) {
          sum = sum + (maps[i] * formula(cat("cotangent", i), maps[i].sizes().vec(), -1, 1)).sum();
        }
        swin.zero_grad();
        sum.backward();
        const auto parameters = swin.named_parameters();
        for (const json& wanted : run.at("gradients")) check_output(wanted, parameters[wanted.at("name").get<std::string>()].grad(), 1e-3);
      }
    }
  }
}

TEST_CASE("swin: parameter counts are the published models'", "[nn][golden]") {
  CHECK(count_parameters({{"name", "swin_t"}}) == 27520698);
  CHECK(count_parameters({{"name", "swin_s"}}) == 48838602);
  CHECK(count_parameters({{"name", "swin_b"}}) == 86880376);
  CHECK(count_parameters({{"name", "swin_b"}, {"window", 7}}) == 86745016);
  CHECK(count_parameters({{"name", "swin_l"}}) == 195201204);
}

TEST_CASE("swin: merging takes the phases in Microsoft's order", "[nn][golden]") {
  nn::PatchMerging merging(1);
  const torch::NoGradGuard guard;
  const at::Tensor tokens = torch::tensor({1.0f, 2.0f, 5.0f, 9.0f}).view({4, 1});  // a b / c d
  const at::Tensor wanted = at::layer_norm(torch::tensor({1.0f, 5.0f, 2.0f, 9.0f}), {4});
  for (int64_t first : {0, 2}) {
    merging->named_parameters()["reduction.weight"].copy_(torch::eye(4).narrow(0, first, 2));
    view::Size map{2, 2};
    const at::Tensor merged = merging->forward(tokens, 1, map);
    CHECK(at::allclose(merged.flatten(), wanted.narrow(0, first, 2)));
    CHECK(map == view::Size{1, 1});
  }
}

TEST_CASE("swin: images of a batch do not touch, in either way of working", "[nn][property]") {
  const auto swin = tiny();
  const at::Tensor images = torch::rand({3, 3, 65, 90});
  for (const bool recorded : {false, true}) {
    const torch::AutoGradMode mode(recorded);
    const std::vector<at::Tensor> together = swin->forward(images);
    for (int64_t b = 0; b < 3; ++b) {
      std::vector<at::Tensor> own;
      for (const at::Tensor& map : together) own.push_back(map.narrow(0, b, 1));
      CHECK(difference(swin->forward(images.narrow(0, b, 1)), own) < 1e-4);
    }
  }
}

TEST_CASE("swin: large maps, worked on in pieces, give what they give as a whole", "[nn][property]") {
  const auto swin = tiny();
  const at::Tensor images = torch::rand({1, 3, 270, 530});  // 9000 tokens; pieces are of a thousand for a core
  const std::vector<at::Tensor> whole = swin->forward(images);
  const torch::NoGradGuard guard;
  CHECK(difference(swin->forward(images), whole) < 1e-4);
}

TEST_CASE("swin: in bfloat16 the maps stay close, and keep the images' type", "[nn][property]") {
  const auto swin = tiny();
  const torch::NoGradGuard guard;
  const at::Tensor images = torch::rand({1, 3, 64, 96});
  const std::vector<at::Tensor> wanted = swin->forward(images);
  swin->to(at::kBFloat16);
  const std::vector<at::Tensor> maps = swin->forward(images);
  CHECK(maps[3].scalar_type() == at::kFloat);
  for (size_t i = 0; i < 4; ++i) {
    const double off = (maps[i] - wanted[i]).norm().item<double>() / wanted[i].norm().item<double>();
    CHECK(off > 0);
    CHECK(off < 0.03);
  }
}

TEST_CASE("swin: rates of stochastic depth rise linearly over the blocks", "[nn][golden]") {
  const std::vector<double> rates = nn::SwinConfig{}.drop_rates();
  REQUIRE(rates.size() == 12);
  const double wanted[] = {0, .0273, .0545, .0818, .1091};
  for (size_t i = 0; i < 5; ++i) CHECK(std::abs(rates[i] - wanted[i]) < 5e-5);
  CHECK(rates.back() == Approx(0.3));
}

TEST_CASE("swin: stochastic depth follows its seed, and stops in eval mode and in frozen parts", "[nn][property]") {
  const auto swin = tiny({{"drop_path", 0.9}});
  const torch::NoGradGuard guard;
  const at::Tensor images = torch::rand({4, 3, 64, 64});
  const std::vector<at::Tensor> calm = swin->forward(images);
  swin->train();
  const auto drawn = [&](uint64_t seed) {
    nn::seed_modules_(*swin, seed);
    return swin->forward(images);
  };
  const std::vector<at::Tensor> first = drawn(7);
  swin->forward(images);  // draws on; the next seed forgets it
  CHECK(difference(drawn(7), first) == 0);
  CHECK(difference(drawn(8), first) > 0.1);
  CHECK(difference(first, calm) > 0.1);
  CHECK(difference(first, swin->forward(images)) > 0.1);
  const auto frozen = tiny({{"drop_path", 0.9}, {"freeze", 5}});
  frozen->train();
  CHECK(difference(frozen->forward(images), calm) == 0);
}

TEST_CASE("swin: a branch is skipped as often as its rate says, and the mean stays", "[nn][property]") {
  // One block for all stages but the last: its rate is the whole.
  const auto swin = tiny({{"depths", {1, 0, 0, 1}}, {"drop_path", 0.25}});
  swin->train();
  const torch::NoGradGuard guard;
  const int64_t batch = 4000;
  nn::seed_modules_(*swin, 1);
  const at::Tensor image = torch::rand({1, 3, 32, 32});
  const at::Tensor map = swin->forward(image.expand({batch, 3, 32, 32}))[3].flatten(1);
  // Both branches can be kept or skipped: four different results, in these shares.
  const double shares[] = {0.25 * 0.25, 0.25 * 0.75, 0.75 * 0.25, 0.75 * 0.75};
  std::vector<double> found;
  at::Tensor left = map;
  while (left.size(0) > 0) {
    const at::Tensor same = (left - left[0]).abs().amax(1) < 1e-3;
    found.push_back(same.sum().item<double>() / static_cast<double>(batch));
    left = left.index_select(0, at::nonzero(same.logical_not()).flatten());
    REQUIRE(found.size() <= 4);
  }
  std::sort(found.begin(), found.end());
  REQUIRE(found.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(std::abs(found[i] - shares[i]) < 0.03);
}

TEST_CASE("swin: freeze says which parts train", "[nn][property]") {
  const auto trains = [](int64_t freeze) {
    std::string text;
    const auto swin = tiny({{"freeze", freeze}});
    for (const auto& item : swin->named_parameters()) {
      const bool end = item.key().ends_with("proj.bias") || item.key().ends_with("norm1.bias");
      if (end && item.value().requires_grad()) text += item.key().substr(0, 8) + " ";
    }
    return text;
  };
  CHECK(trains(0).rfind("patch_em", 0) == 0);
  CHECK(trains(1).rfind("layers.0", 0) == 0);
  CHECK(trains(3).rfind("layers.2", 0) == 0);
  CHECK(trains(5).empty());
}

TEST_CASE("swin: a wrong config is refused with the field", "[nn][error]") {
  const auto failure = [](const json& config) {
    try {
      config.get<nn::BackboneConfig>();
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::kConfig);
      return std::string(e.what());
    }
    return std::string();
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(has(failure({{"name", "swin_x"}}), "swin_t"));
  CHECK(has(failure({{"name", "vgg"}, {"norm", "frozen"}}), "resnet101, resnet18, resnet34, resnet50, swin_b"));
  CHECK(has(failure({{"name", "swin_x"}, {"norm", "frozen"}}), "must be one of"));
  CHECK(has(failure({{"name", "swin_t"}, {"norm", "frozen"}}), "norm"));
  CHECK(has(failure({{"name", "resnet50"}, {"window", 7}}), "window"));
  CHECK(has(failure({{"name", "swin_t"}, {"heads", {5, 6, 12, 24}}}), "heads"));
  CHECK(has(failure({{"name", "swin_t"}, {"depths", {1, 2}}}), "depths"));
  CHECK(has(failure({{"name", "swin_t"}, {"drop_path", 1.0}}), "drop_path"));
  const json effective = json{{"name", "swin_b"}, {"window", 7}}.get<nn::BackboneConfig>();
  CHECK(effective.at("embed") == 128);
  CHECK(effective.at("window") == 7);
  CHECK(json(effective.get<nn::BackboneConfig>()) == effective);
}
