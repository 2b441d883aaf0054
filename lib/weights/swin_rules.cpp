#include "lib/weights/rules.h"

// Swin Transformers. Our names are Microsoft's, which detectron2 and Mask2Former kept. Source: WEIGHTS.md 3.
namespace iuq::weights {
namespace {

const std::string kBlock = "layers.{s}.blocks.{b}.";

// How a program names what every block has.
struct BlockNames {
  std::string block, norm1, norm2, attention, qkv, proj, fc1, fc2;
};

std::vector<Rule> blocks(const BlockNames& t) {
  std::vector<Rule> rules = {
      {kBlock + "norm1.{*}", t.block + t.norm1 + ".{*}"},
      {kBlock + "norm2.{*}", t.block + t.norm2 + ".{*}"},
      {kBlock + "attn.relative_position_bias_table", t.block + t.attention + "relative_position_bias_table"},
      {kBlock + "attn.proj.{*}", t.block + t.proj + ".{*}"},
      {kBlock + "mlp.fc1.{*}", t.block + t.fc1 + ".{*}"},
      {kBlock + "mlp.fc2.{*}", t.block + t.fc2 + ".{*}"},
  };
  if (!t.qkv.empty()) rules.push_back({kBlock + "attn.qkv.{*}", t.block + t.qkv + ".{*}"});
  return rules;
}

std::vector<Rule> embedding(const std::string& proj, const std::string& norm) {
  return {{"patch_embed.proj.{*}", proj + ".{*}"}, {"patch_embed.norm.{*}", norm + ".{*}"}};
}

// What merges stages s and s + 1; `theirs(s)` is its name.
template <class Name>
std::vector<Rule> merging(const Name& theirs, Change change = Change::kNone) {
  std::vector<Rule> rules;
  // Written out, because only the place of the first and the last tells the spellings of timm apart.
  for (int s = 0; s < 3; ++s) {
    const std::string ours = "layers." + std::to_string(s) + ".downsample.";
    rules.push_back({ours + "norm.{*}", theirs(s) + ".norm.{*}", change});
    rules.push_back({ours + "reduction.weight", theirs(s) + ".reduction.weight", change});
  }
  return rules;
}

const BlockNames kMicrosoft = {kBlock, "norm1", "norm2", "attn.", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"};
const Rule kOutputNorm = {"norm{i}.{*}", "norm{i}.{*}"};

// Transformers up to 4 and all its files; and, in memory, from 5 on.
const BlockNames kHf = {"encoder.layers.{s}.blocks.{b}.", "layernorm_before", "layernorm_after", "attention.self.", "",
                        "attention.output.dense", "intermediate.dense", "output.dense"};
const BlockNames kHf5 = {"encoder.layers.{s}.blocks.{b}.", "layernorm_before", "layernorm_after",
                         "attention.relative_position_bias.", "", "attention.o_proj", "mlp.fc1", "mlp.fc2"};

std::vector<Rule> hf_thirds(const std::string& block, const std::vector<std::string>& names) {
  std::vector<Rule> rules;
  for (int part = 0; part < 3; ++part) {
    rules.push_back({kBlock + "attn.qkv.{*}", block + names[static_cast<size_t>(part)] + ".{*}", Change::kThird, part});
  }
  return rules;
}

}  // namespace

std::vector<Rule> swin_microsoft() {
  return embedding("patch_embed.proj", "patch_embed.norm") + blocks(kMicrosoft) +
         merging([](int s) { return "layers." + std::to_string(s) + ".downsample"; }) + std::vector<Rule>{kOutputNorm};
}

// Newer timm has what leads to a stage at the stage's front.
std::vector<Rule> swin_timm() {
  return embedding("patch_embed.proj", "patch_embed.norm") + blocks(kMicrosoft) +
         merging([](int s) { return "layers." + std::to_string(s + 1) + ".downsample"; });
}

std::vector<Rule> swin_torchvision() {
  const BlockNames names = {"features.{2s+1}.{b}.", "norm1", "norm2", "attn.", "attn.qkv", "attn.proj", "mlp.0", "mlp.3"};
  return embedding("features.0.0", "features.0.2") + blocks(names) +
         merging([](int s) { return "features." + std::to_string(2 * s + 2); });
}

std::vector<Rule> swin_hf() {
  std::vector<Rule> body = embedding("embeddings.patch_embeddings.projection", "embeddings.norm") + blocks(kHf) +
                           hf_thirds(kHf.block, {"attention.self.query", "attention.self.key", "attention.self.value"}) +
                           blocks(kHf5) + hf_thirds(kHf5.block, {"attention.q_proj", "attention.k_proj", "attention.v_proj"}) +
                           merging([](int s) { return "encoder.layers." + std::to_string(s) + ".downsample"; });
  // As a backbone the body stands alone in files; in memory, and in classifiers, it is "swin".
  return body + prefixed("", "swin.", body) + std::vector<Rule>{{"norm{i}.{*}", "hidden_states_norms.stage{i+1}.{*}"}};
}

std::vector<Rule> swin_mmdet() {
  const BlockNames names = {"stages.{s}.blocks.{b}.", "norm1", "norm2", "attn.w_msa.", "attn.w_msa.qkv", "attn.w_msa.proj",
                            "ffn.layers.0.0", "ffn.layers.1"};
  return embedding("patch_embed.projection", "patch_embed.norm") + blocks(names) +
         merging([](int s) { return "stages." + std::to_string(s) + ".downsample"; }, Change::kMergingOrder) +
         std::vector<Rule>{kOutputNorm};
}

}  // namespace iuq::weights
