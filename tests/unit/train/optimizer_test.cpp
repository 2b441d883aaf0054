#include "lib/train/optimizer.h"

#include <torch/nn/modules/normalization.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim.h>
#include <torch/types.h>

#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/nn/conv.h"
#include "lib/nn/linear.h"
#include "lib/nn/undecayed.h"
#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::train;

namespace {

void fake_gradients(model::Segmenter& segmenter, uint64_t seed) {
  for (at::Tensor& parameter : segmenter.parameters()) {
    parameter.mutable_grad() = test::noise(seed++, parameter.sizes().vec());
  }
}

struct TablesImpl : torch::nn::Module, nn::Undecayed {
  TablesImpl() {
    register_parameter("looked_up", torch::ones({4, 2}));
    register_parameter("plain", torch::ones({4, 2}));
  }
  std::vector<std::string> undecayed() const override { return {"looked_up"}; }
};

// One module of each kind that is optimised in a way of its own, and a parameter that is not trained.
struct Mixed : torch::nn::Module {
  Mixed() {
    register_module("bottom_up", nn::Conv(nn::ConvImpl::Options{.in = 2, .out = 2, .bias = false, .norm = nn::NormKind::kBatch}));
    register_module("linear", nn::Linear(2, 2));
    register_module("norm", torch::nn::GroupNorm(1, 2));
    register_module("tables", std::make_shared<TablesImpl>());
    register_parameter("frozen", torch::ones({2}), /*requires_grad=*/false);
  }
};

bool same_parameters(const model::Segmenter& a, const model::Segmenter& b) {
  const auto one = a.parameters(), two = b.parameters();
  for (size_t i = 0; i < one.size(); ++i) {
    if (!at::equal(one[i], two[i])) return false;
  }
  return one.size() == two.size();
}

}  // namespace

TEST_CASE("optimizer: a restored state takes the same next step, for both kinds", "[train][property]") {
  for (const char* kind : {"sgd", "adamw"}) {
    CAPTURE(kind);
    TrainConfig config;
    config.optimizer = kind;
    config.clip_norm = 5;
    const auto one = model::make_segmenter(test::tiny_model(), 3, 1);
    const auto two = model::make_segmenter(test::tiny_model(), 3, 1);
    Optimizer first(config, *one), second(config, *two);
    for (int64_t step = 0; step < 3; ++step) {
      fake_gradients(*one, static_cast<uint64_t>(step));
      first.step(step);
    }
    {
      const torch::NoGradGuard guard;
      const auto from = one->parameters(), to = two->parameters();
      for (size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
    }
    second.set_state(first.state());
    for (auto* run : {&first, &second}) {
      fake_gradients(run == &first ? *one : *two, 99);
      run->step(3);
    }
    REQUIRE(same_parameters(*one, *two));
  }
}

TEST_CASE("optimizer: clipping limits the norm of all gradients together", "[train][property]") {
  TrainConfig config;
  config.clip_norm = 0.5;
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  Optimizer optimizer(config, *segmenter);
  fake_gradients(*segmenter, 5);
  double before = 0, after = 0;
  for (const at::Tensor& p : segmenter->parameters()) before += p.grad().pow(2).sum().item<double>();
  const double reported = optimizer.step(2000).item<double>();
  for (const at::Tensor& p : segmenter->parameters()) after += p.grad().pow(2).sum().item<double>();
  REQUIRE(reported == Approx(std::sqrt(before)).epsilon(1e-4));
  REQUIRE(std::sqrt(after) == Approx(0.5).epsilon(1e-3));
}

TEST_CASE("optimizer: norms and looked-up tables do not decay, biases do, and the backbone learns at its own rate",
          "[train][property]") {
  TrainConfig config;
  config.weight_decay = 0.05;
  config.backbone_lr_factor = 0.1;
  const Mixed mixed;
  std::map<std::string, std::pair<double, double>> found;  // rate factor, decay
  for (const ParameterGroup& group : parameter_groups(config, mixed, "bottom_up.")) {
    for (const auto& [name, parameter] : group.parameters) {
      REQUIRE(found.emplace(name, std::pair(group.lr_factor, group.weight_decay)).second);
    }
  }
  const std::pair norm(1.0, 0.0), rest(1.0, 0.05);
  const std::map<std::string, std::pair<double, double>> expected = {
      {"bottom_up.weight", {0.1, 0.05}},  {"bottom_up.norm.weight", {0.1, 0.0}}, {"bottom_up.norm.bias", {0.1, 0.0}},
      {"linear.weight", rest},            {"linear.bias", rest},                 {"norm.weight", norm},
      {"norm.bias", norm},                {"tables.looked_up", norm},            {"tables.plain", rest}};
  REQUIRE(found == expected);
}

namespace {

// The weight decay of each parameter of a segmenter whose config says 1 for all but norms.
std::map<std::string, double> decays(const char* model) {
  TrainConfig config;
  config.weight_decay = 1;
  const auto segmenter = model::make_segmenter(nlohmann::json::parse(model), 3, 1);
  std::map<std::string, double> out;
  for (const ParameterGroup& group : parameter_groups(config, *segmenter, segmenter->backbone_prefix())) {
    for (const auto& [name, parameter] : group.parameters) out[name] = group.weight_decay;
  }
  return out;
}

bool ends_with(const std::string& name, const std::string& end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

TEST_CASE("optimizer: of Swin, norms and position tables do not decay", "[train]") {
  const auto found = decays(R"({"name": "condinst", "backbone":
    {"name": "swin_t", "embed": 8, "depths": [1, 2, 1, 1], "heads": [1, 1, 2, 2], "window": 4}})");
  int64_t tables = 0;
  for (const auto& [name, decay] : found) {
    CAPTURE(name);
    const bool table = ends_with(name, "relative_position_bias_table");
    tables += table;
    if (table || name.find("norm") != std::string::npos) REQUIRE(decay == 0);
    if (name.find("qkv") != std::string::npos) REQUIRE(decay == 1);
  }
  REQUIRE(tables == 5);
}

TEST_CASE("optimizer: of Mask2Former, norms and embeddings do not decay, the pixel decoder's level_embed does", "[train]") {
  const auto found = decays(R"({"name": "mask2former", "backbone": {"name": "resnet10", "width": 8, "freeze": 0},
    "width": 32, "embedding": 32, "groups": 4, "heads": 2, "encoder_layers": 1, "encoder_ffn": 16, "queries": 4,
    "decoder_layers": 1, "decoder_ffn": 16})");
  int64_t embeddings = 0, levels = 0;
  for (const auto& [name, decay] : found) {
    CAPTURE(name);
    const bool embedding =
        ends_with(name, "query_feat.weight") || ends_with(name, "query_embed.weight") || ends_with(name, "level_embed.weight");
    embeddings += embedding;
    levels += ends_with(name, "transformer.level_embed");
    const bool norm = name.find("norm") != std::string::npos;
    if (embedding || norm) REQUIRE(decay == 0);
    if (ends_with(name, "transformer.level_embed")) REQUIRE(decay == 1);
    if (ends_with(name, "in_proj_weight") || ends_with(name, "sampling_offsets.bias")) REQUIRE(decay == 1);
  }
  REQUIRE(embeddings == 3);
  REQUIRE(levels == 1);
}

TEST_CASE("optimizer: without gradients a step is the decay of each group", "[train][property]") {
  TrainConfig config;
  config.optimizer = "adamw";
  config.lr = 0.01;
  config.weight_decay = 0.5;
  config.backbone_lr_factor = 0.1;
  config.warmup = 10;  // so that every step has a rate of its own
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  std::map<std::string, at::Tensor> before;
  for (const auto& item : segmenter->named_parameters()) before[item.key()] = item.value().detach().clone();
  Optimizer optimizer(config, *segmenter);
  for (at::Tensor& parameter : segmenter->parameters()) parameter.mutable_grad() = at::zeros_like(parameter);
  REQUIRE(optimizer.step(4).item<double>() == 0);
  for (const ParameterGroup& group : parameter_groups(config, *segmenter, segmenter->backbone_prefix())) {
    for (const auto& [name, parameter] : group.parameters) {
      CAPTURE(name);
      REQUIRE(at::allclose(parameter, before[name] * (1 - config.lr_at(4) * group.lr_factor * group.weight_decay), 1e-6, 1e-12));
    }
  }
}

TEST_CASE("optimizer: state of another shape is an error", "[train][error]") {
  const auto segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  Optimizer optimizer({}, *segmenter);
  REQUIRE_THROWS_AS(optimizer.set_state({{"momentum.mask_head.conv_pred.0.weight", torch::zeros({2})}}), Error);
}

namespace {

// LibTorch's own optimiser over the same groups, and the clipping as its documentation has it.
struct Reference {
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  std::vector<at::Tensor> parameters;
  std::vector<double> lr_factors;

  Reference(const TrainConfig& config, const model::Segmenter& segmenter) {
    std::vector<torch::optim::OptimizerParamGroup> list;
    for (const ParameterGroup& group : parameter_groups(config, segmenter, segmenter.backbone_prefix())) {
      std::vector<at::Tensor> own;
      for (const auto& [name, parameter] : group.parameters) own.push_back(parameter);
      parameters.insert(parameters.end(), own.begin(), own.end());
      std::unique_ptr<torch::optim::OptimizerOptions> options;
      if (config.optimizer == "sgd") {
        options = std::make_unique<torch::optim::SGDOptions>(
            torch::optim::SGDOptions(config.lr).momentum(config.momentum).weight_decay(group.weight_decay));
      } else {
        options = std::make_unique<torch::optim::AdamWOptions>(
            torch::optim::AdamWOptions(config.lr).weight_decay(group.weight_decay));
      }
      list.emplace_back(own, std::move(options));
      lr_factors.push_back(group.lr_factor);
    }
    if (config.optimizer == "sgd") optimizer = std::make_unique<torch::optim::SGD>(list, torch::optim::SGDOptions(config.lr));
    else optimizer = std::make_unique<torch::optim::AdamW>(list, torch::optim::AdamWOptions(config.lr));
  }

  void step(const TrainConfig& config, int64_t step) {
    torch::nn::utils::clip_grad_norm_(parameters, config.clip_norm);
    for (size_t g = 0; g < lr_factors.size(); ++g) {
      optimizer->param_groups()[g].options().set_lr(config.lr_at(step) * lr_factors[g]);
    }
    optimizer->step();
  }
};

}  // namespace

TEST_CASE("optimizer: steps are those of LibTorch's SGD and AdamW, whichever parameters have a gradient",
          "[train][property]") {
  const std::string kind = GENERATE("sgd", "adamw");
  const double momentum = GENERATE(0.0, 0.9);
  const bool strided = GENERATE(false, true);  // gradients that plain loops cannot walk over
  CAPTURE(kind, momentum, strided);
  TrainConfig config;
  config.optimizer = kind;
  config.momentum = momentum;
  config.lr = 0.01;
  config.weight_decay = 0.05;
  config.backbone_lr_factor = 0.1;
  config.clip_norm = 20;
  config.warmup = 3;
  const auto one = model::make_segmenter(test::tiny_model(), 3, 1), two = model::make_segmenter(test::tiny_model(), 3, 1);
  Optimizer ours(config, *one);
  Reference theirs(config, *two);
  const auto a = one->parameters(), b = two->parameters();
  for (int64_t step = 0; step < 6; ++step) {
    for (auto* segmenter : {one.get(), two.get()}) fake_gradients(*segmenter, static_cast<uint64_t>(100 * step));
    for (size_t i = 0; i < a.size(); ++i) {
      if (strided && a[i].dim() == 4) {
        a[i].mutable_grad() = a[i].grad().contiguous(at::MemoryFormat::ChannelsLast);
      }
      if ((i + static_cast<size_t>(step)) % 3 > 0) continue;  // some have none now, and some not yet
      a[i].mutable_grad().reset();
      b[i].mutable_grad().reset();
    }
    ours.step(step);
    theirs.step(config, step);
    for (size_t i = 0; i < a.size(); ++i) {
      CAPTURE(step, i);
      REQUIRE(at::allclose(a[i], b[i], 1e-5, 1e-8));
    }
  }
}
