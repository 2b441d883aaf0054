#include <nlohmann/json.hpp>

#include "tests/unit/model/parity.h"

// Parameter counts of lib/nn/REFERENCE.md 1 and 2 and of section 1 of the segmenters' REFERENCE.md, to the last integer:
// whoever changes a layer changes one of them.

namespace {

using namespace iuq;
using namespace iuq::test;

struct Part {
  const char* what;
  std::vector<std::string> prefixes;  // of the parameters that are counted
  int64_t wanted;
};

struct Published {
  const char* name;
  json config;
  int64_t classes;
  std::vector<Part> parts;
};

// Statistics of norms are no parameters; weight and bias of frozen norms are, although they are buffers.
int64_t count(const Segmenter& segmenter, const std::vector<std::string>& prefixes) {
  int64_t sum = 0;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    if (name.find(".running_") != std::string::npos) return;
    for (const std::string& prefix : prefixes) {
      if (name.rfind(prefix, 0) == 0) sum += tensor.numel();
    }
  };
  for (const auto& item : segmenter.named_parameters()) add(item.key(), item.value());
  for (const auto& item : segmenter.named_buffers()) add(item.key(), item.value());
  return sum;
}

json config(const char* name, const char* backbone) { return {{"name", name}, {"backbone", {{"name", backbone}}}}; }

const std::vector<std::string> kFpn = {"backbone.fpn_lateral", "backbone.fpn_output"};
const Part kR50{"ResNet-50", {"backbone.bottom_up."}, 23508032};
const Part kR101{"ResNet-101", {"backbone.bottom_up."}, 42500160};
const Part kFpn4{"FPN of four stages", kFpn, 3344384};
const Part kFpn3{"FPN of three stages", kFpn, 2688512};
const Part kTop{"P6 and P7", {"backbone.top_block."}, 1180160};

std::vector<Published> table() {
  const Part cells{"instance head", {"ins_head."}, 18081104}, features{"mask head", {"mask_head."}, 1659392};
  const Part layer{"a layer of the transformer", {"cate_head.transformer.layers.blocks.0.", "cate_head.transformer.layers.blocks.1."}, 2885124};
  const Part transformer{"transformer", {"cate_head.transformer."}, 34621488};
  const Part linear{"linear heads", {"cate_head.cate_pred.", "cate_head.kernel_pred."}, 86352};
  const Part plain_features{"mask head", {"mask_head."}, 1657088};
  const Part boxes{"FCOS head", {"proposal_generator.fcos_head."}, 4920666}, controller{"controller", {"controller."}, 389545};
  const Part branch{"mask branch", {"mask_branch."}, 1477384};
  const Part semantic{"semantic head", {"mask_branch.seg_head.", "mask_branch.logits."}, 453200};
  json with_semantic = config("condinst", "resnet50");
  with_semantic["semantic_loss"] = true;
  const auto total = [](int64_t wanted) { return Part{"total", {""}, wanted}; };
  return {
      {"SOLOv2 R50", config("solov2", "resnet50"), 80, {kR50, kFpn4, cells, features, total(46592912)}},
      {"SOLOv2 R101", config("solov2", "resnet101"), 80, {kR101, kFpn4, cells, features, total(65585040)}},
      {"SOLOv2 R50 LVIS", config("solov2", "resnet50"), 1203, {{"instance head", {"ins_head."}, 23257011}, features}},
      {"CondInst R50", config("condinst", "resnet50"), 80, {kR50, kFpn3, kTop, boxes, controller, branch, total(34164299)}},
      {"CondInst R101", config("condinst", "resnet101"), 80, {kR101, kFpn3, kTop, boxes, controller, branch, total(53156427)}},
      {"CondInst R50 LVIS", config("condinst", "resnet50"), 1203, {controller, branch, total(36752814)}},
      {"CondInst R50 semantic", with_semantic, 80, {semantic, total(34164299 + 453200)}},
      {"SOTR R50", config("sotr", "resnet50"), 80, {kR50, kFpn4, layer, transformer, linear, plain_features, total(63217344)}},
      {"SOTR R101", config("sotr", "resnet101"), 80, {kR101, kFpn4, layer, transformer, linear, plain_features, total(82209472)}},
  };
}

}  // namespace

TEST_CASE("parameters: as many as the published models have, module by module", "[model][golden]") {
  for (const Published& row : table()) {
    const auto segmenter = model::make_segmenter(row.config, row.classes, /*seed=*/0);
    for (const Part& part : row.parts) {
      INFO(row.name << ": " << part.what);
      CHECK(count(*segmenter, part.prefixes) == part.wanted);
    }
  }
}
