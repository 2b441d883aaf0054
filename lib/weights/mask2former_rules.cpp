#include "lib/weights/rules.h"

// Mask2Former's pixel decoder and transformer decoder. Our names are its authors', detectron2's. Source: WEIGHTS.md 6.
namespace iuq::weights {
namespace {

const std::string kPixel = "sem_seg_head.pixel_decoder.", kEncoder = kPixel + "transformer.encoder.layers.{i}.";
const std::string kQuery = "sem_seg_head.predictor.", kCross = kQuery + "transformer_cross_attention_layers.{i}.";
const std::string kSelf = kQuery + "transformer_self_attention_layers.{i}.", kFfn = kQuery + "transformer_ffn_layers.{i}.";

std::vector<Rule> deformable_attention(const std::string& theirs) {
  std::vector<Rule> rules;
  for (const char* part : {"sampling_offsets", "attention_weights", "value_proj", "output_proj"}) {
    rules.push_back({kEncoder + "self_attn." + part + ".{*}", theirs + part + ".{*}"});
  }
  return rules;
}

// One kind of layer: the layer norms and the two layers of the feed-forward network.
std::vector<Rule> layer(const std::string& ours, const std::string& theirs, const std::vector<Rule>& names) {
  std::vector<Rule> rules;
  for (const Rule& name : names) rules.push_back({ours + name.ours + ".{*}", theirs + name.theirs + ".{*}"});
  return rules;
}

// A conv with its group norm.
std::vector<Rule> conv_norm(const std::string& ours, const std::string& conv, const std::string& norm) {
  return {{ours + ".weight", conv + ".weight"}, {ours + ".norm.{*}", norm + ".{*}"}};
}

// PyTorch's attention, with the matrices of query, key and value in one.
std::vector<Rule> attention(const std::string& ours, const std::string& theirs) {
  return {{ours + "in_proj_{*}", theirs + "in_proj_{*}"}, {ours + "out_proj.{*}", theirs + "out_proj.{*}"}};
}

}  // namespace

std::vector<Rule> mask2former_own() {
  std::vector<Rule> rules = own_names(mask2former_mmdet());
  // Older files of the authors: another name for the queries, and no "pixel_decoder." in the names of the pixel decoder.
  rules.push_back({kQuery + "query_feat.weight", kQuery + "static_query.weight"});
  for (const Rule& rule : own_names(mask2former_mmdet())) {
    if (rule.ours.rfind(kPixel, 0) == 0) rules.push_back({rule.ours, "sem_seg_head." + rule.ours.substr(kPixel.size())});
  }
  return rules;
}

std::vector<Rule> mask2former_hf() {
  const std::string pixel = "model.pixel_level_module.decoder.", encoder = pixel + "encoder.layers.{i}.";
  const std::string queries = "model.transformer_module.", decoder = queries + "decoder.layers.{i}.";
  std::vector<Rule> rules = {
      {kPixel + "input_proj.{k}.{j}.{*}", pixel + "input_projections.{k}.{j}.{*}"},
      {kPixel + "transformer.level_embed", pixel + "level_embed"},
      {kPixel + "mask_features.{*}", pixel + "mask_projection.{*}"},
      {kQuery + "query_feat.weight", queries + "queries_features.weight"},
      {kQuery + "query_embed.weight", queries + "queries_embedder.weight"},
      {kQuery + "level_embed.weight", queries + "level_embed.weight"},
      {kQuery + "decoder_norm.{*}", queries + "decoder.layernorm.{*}"},
      {kQuery + "class_embed.{*}", "class_predictor.{*}"},
      {kQuery + "mask_embed.layers.{j}.{*}", queries + "decoder.mask_predictor.mask_embedder.{j}.0.{*}"},
  };
  // Self-attention has its three matrices apart, cross-attention has not.
  for (int part = 0; part < 3; ++part) {
    const std::string theirs = std::string("self_attn.") + "qkv"[part] + "_proj.{*}";
    rules.push_back({kSelf + "self_attn.in_proj_{*}", decoder + theirs, Change::kThird, part});
  }
  const std::vector<Rule> ffn = {{"linear1", "fc1"}, {"linear2", "fc2"}};
  return rules + conv_norm(kPixel + "adapter_1", pixel + "adapter_1.0", pixel + "adapter_1.1") +
         conv_norm(kPixel + "layer_1", pixel + "layer_1.0", pixel + "layer_1.1") +
         deformable_attention(encoder + "self_attn.") +
         layer(kEncoder, encoder, ffn + std::vector<Rule>{{"norm1", "self_attn_layer_norm"}, {"norm2", "final_layer_norm"}}) +
         attention(kCross + "multihead_attn.", decoder + "cross_attn.") +
         layer(kCross, decoder, {{"norm", "cross_attn_layer_norm"}}) +
         layer(kSelf, decoder, {{"self_attn.out_proj", "self_attn.out_proj"}, {"norm", "self_attn_layer_norm"}}) +
         layer(kFfn, decoder, ffn + std::vector<Rule>{{"norm", "final_layer_norm"}});
}

std::vector<Rule> mask2former_mmdet() {
  const std::string head = "panoptic_head.", pixel = head + "pixel_decoder.", encoder = pixel + "encoder.layers.{i}.";
  const std::string decoder = head + "transformer_decoder.layers.{i}.";
  const std::vector<Rule> rules = {
      {kPixel + "input_proj.{k}.0.{*}", pixel + "input_convs.{k}.conv.{*}"},
      {kPixel + "input_proj.{k}.1.{*}", pixel + "input_convs.{k}.gn.{*}"},
      {kPixel + "transformer.level_embed", pixel + "level_encoding.weight"},
      {kPixel + "mask_features.{*}", pixel + "mask_feature.{*}"},
      {kQuery + "query_feat.weight", head + "query_feat.weight"},
      {kQuery + "query_embed.weight", head + "query_embed.weight"},
      {kQuery + "level_embed.weight", head + "level_embed.weight"},
      {kQuery + "decoder_norm.{*}", head + "transformer_decoder.post_norm.{*}"},
      {kQuery + "class_embed.{*}", head + "cls_embed.{*}"},
      {kQuery + "mask_embed.layers.{j}.{*}", head + "mask_embed.{2j}.{*}"},
  };
  const std::vector<Rule> ffn = {{"linear1", "ffn.layers.0.0"}, {"linear2", "ffn.layers.1"}};
  const std::vector<Rule> ffn2 = {{"linear1", "ffns.0.layers.0.0"}, {"linear2", "ffns.0.layers.1"}};  // mmdetection 2.x
  return rules + conv_norm(kPixel + "adapter_1", pixel + "lateral_convs.0.conv", pixel + "lateral_convs.0.gn") +
         conv_norm(kPixel + "layer_1", pixel + "output_convs.0.conv", pixel + "output_convs.0.gn") +
         deformable_attention(encoder + "self_attn.") +
         layer(kEncoder, encoder, ffn + std::vector<Rule>{{"norm1", "norms.0"}, {"norm2", "norms.1"}}) +
         attention(kCross + "multihead_attn.", decoder + "cross_attn.attn.") + layer(kCross, decoder, {{"norm", "norms.0"}}) +
         attention(kSelf + "self_attn.", decoder + "self_attn.attn.") + layer(kSelf, decoder, {{"norm", "norms.1"}}) +
         layer(kFfn, decoder, ffn + std::vector<Rule>{{"norm", "norms.2"}}) +
         deformable_attention(encoder + "attentions.0.") + layer(kEncoder, encoder, ffn2) +
         attention(kCross + "multihead_attn.", decoder + "attentions.0.attn.") +
         attention(kSelf + "self_attn.", decoder + "attentions.1.attn.") + layer(kFfn, decoder, ffn2);
}

}  // namespace iuq::weights
