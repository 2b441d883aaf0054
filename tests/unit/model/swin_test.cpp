#include <torch/torch.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/safetensors.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/model/tensor_bridge.h"
#include "lib/nn/windows.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

// Segmenters on a Swin Transformer, and weights of one.
namespace {

using namespace iuq;
using nlohmann::json;

const json kSwin = {{"name", "swin_t"}, {"embed", 8}, {"depths", {1, 2, 1, 1}}, {"heads", {1, 2, 2, 4}}, {"window", 4}};

std::shared_ptr<model::Segmenter> make(const json& changes = json::object(), uint64_t seed = 1) {
  json backbone = kSwin;
  if (!changes.is_null()) backbone.update(changes);
  return model::make_segmenter({{"name", "solov2"}, {"backbone", backbone}, {"channels", 32}, {"head_channels", 32},
                                {"head_convs", 1}, {"mask_channels", 32}, {"embedding", 32}}, 3, seed);
}

// The segmenter's backbone as a file of weights, under `prefix`.
std::string backbone_file(const test::TempFolder& folder, const model::Segmenter& segmenter, const std::string& prefix,
                          const std::string& without = "none") {
  io::TensorFile file;
  const std::string own = segmenter.backbone_prefix();
  for (const auto& item : segmenter.named_parameters()) {
    if (!item.key().starts_with(own) || item.key().find(without) != std::string::npos) continue;
    file.tensors.emplace_back(prefix + item.key().substr(own.size()), model::to_tensor_data(item.value()));
  }
  file.metadata["preprocessing"] = R"({"order":"RGB","mean":[1,2,3],"std":[4,5,6]})";
  io::write_safetensors(folder / "w.safetensors", file);
  return folder / "w.safetensors";
}

}  // namespace

TEST_CASE("swin: every segmenter runs on it, and its gradients reach the patches", "[model][property]") {
  for (const char* name : {"solov2", "condinst", "sotr"}) {
    INFO(name);
    const auto segmenter = model::make_segmenter({{"name", name}, {"backbone", kSwin}}, 2, 0);
    CHECK(segmenter->alignment() == view::Alignment::kPatch);
    CHECK(segmenter->backbone_channels() == std::vector<int64_t>{8, 16, 32, 64});
    model::Frame frame;
    frame.canvas = {64, 96};
    frame.valid = {frame.canvas};
    const model::FeaturePyramid maps = segmenter->backbone(torch::rand({1, 3, 64, 96}));
    const model::Encoded encoded = segmenter->encode(maps, frame);
    CHECK(encoded.mask_features.size(2) == 64 / segmenter->mask_stride());
    encoded.mask_features.square().sum().backward();
    const auto parameters = segmenter->named_parameters();
    const at::Tensor gradient = parameters[segmenter->backbone_prefix() + "patch_embed.proj.weight"].grad();
    REQUIRE(gradient.defined());
    CHECK(gradient.abs().sum().item<double>() > 0);
  }
}

TEST_CASE("swin: a backbone's weights find their place under any prefix", "[model][property]") {
  const test::TempFolder folder;
  const auto source = make({}, 7);
  for (const char* prefix : {"backbone.", "backbone.bottom_up."}) {
    const auto target = make({}, 8);
    view::InputConfig input;
    const auto missing = model::load_weights(*target, backbone_file(folder, *source, prefix), {}, input);
    CHECK(input.mean == std::vector<double>{1, 2, 3});
    const auto wanted = source->named_parameters(), found = target->named_parameters();
    for (const auto& item : wanted) {
      INFO(item.key());
      const bool own = item.key().starts_with("backbone.bottom_up.");
      CHECK((std::find(missing.begin(), missing.end(), item.key()) == missing.end()) == own);
      if (own) CHECK(at::equal(item.value(), found[item.key()]));
    }
  }
}

TEST_CASE("swin: a backbone that is not whole, or of another size, is refused", "[model][error]") {
  const test::TempFolder folder;
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const auto load = [&](const model::Segmenter& source, const json& changes, const char* without = "none") {
    view::InputConfig input;
    model::load_weights(*make(changes), backbone_file(folder, source, "backbone.bottom_up.", without), {}, input);
  };
  const auto refusal = [&](const model::Segmenter& source, const json& changes, const char* without = "none") {
    return test::message_of([&] { load(source, changes, without); });
  };
  load(*make(), {});
  CHECK(has(refusal(*make(), {{"depths", {1, 2, 2, 1}}}), "holds a backbone, but not its \"backbone.bottom_up.layers.2.blocks.1."));
  CHECK(has(refusal(*make(), {{"depths", {1, 1, 1, 1}}}), "\"backbone.bottom_up.layers.1.blocks.1."));
  CHECK(has(refusal(*make(), {}, "norm2.bias"), "norm2.bias\""));
  CHECK(has(refusal(*make(), {{"embed", 16}}), "this segmenter wants [16"));
}

TEST_CASE("swin: tables of relative positions become those of another window", "[model][property]") {
  const test::TempFolder folder;
  const auto source = make(), target = make({{"window", 7}});
  view::InputConfig input;
  model::load_weights(*target, backbone_file(folder, *source, "backbone."), {}, input);
  const std::string name = "backbone.bottom_up.layers.1.blocks.0.attn.relative_position_bias_table";
  const at::Tensor from = source->named_parameters()[name].detach(), to = target->named_parameters()[name].detach();
  REQUIRE(to.sizes() == at::IntArrayRef({169, 2}));
  for (int64_t head = 0; head < 2; ++head) {
    const at::Tensor image = from.select(1, head).view({1, 1, 7, 7});
    CHECK(at::allclose(to.select(1, head).view({1, 1, 13, 13}), at::upsample_bicubic2d(image, {13, 13}, false)));
  }
  CHECK(at::equal(nn::resize_positions(from, 4), from));
  CHECK(at::allclose(nn::resize_positions(torch::full({49, 3}, 0.7), 12), torch::full({529, 3}, 0.7)));
  CHECK(at::allclose(nn::resize_positions(from, 12).flip(0), nn::resize_positions(from.flip(0), 12), 1e-4, 1e-6));
}
