#include "lib/weights/rules.h"

// Heads of SOLOv2 and SOTR. Source: WEIGHTS.md 4.
namespace iuq::weights {

std::vector<Rule> solov2_mmdet() {
  return {
      {"ins_head.cate_tower.{3i}.weight", "mask_head.cls_convs.{i}.conv.weight"},
      {"ins_head.cate_tower.{3i+1}.{*}", "mask_head.cls_convs.{i}.gn.{*}"},
      {"ins_head.kernel_tower.{3i}.weight", "mask_head.kernel_convs.{i}.conv.weight"},
      {"ins_head.kernel_tower.{3i+1}.{*}", "mask_head.kernel_convs.{i}.gn.{*}"},
      {"ins_head.cate_pred.{*}", "mask_head.conv_cls.{*}"},
      {"ins_head.kernel_pred.{*}", "mask_head.conv_kernel.{*}"},
      {"mask_head.convs_all_levels.{i}.conv{j}.0.weight", "mask_head.mask_feature_head.convs_all_levels.{i}.conv{j}.conv.weight"},
      {"mask_head.convs_all_levels.{i}.conv{j}.1.{*}", "mask_head.mask_feature_head.convs_all_levels.{i}.conv{j}.gn.{*}"},
      {"mask_head.conv_pred.0.weight", "mask_head.mask_feature_head.conv_pred.conv.weight"},
      {"mask_head.conv_pred.1.{*}", "mask_head.mask_feature_head.conv_pred.gn.{*}"},
  };
}

std::vector<Rule> solov2_solo() {
  return {
      {"ins_head.cate_tower.{3i}.weight", "bbox_head.cate_convs.{i}.conv.weight"},
      {"ins_head.cate_tower.{3i+1}.{*}", "bbox_head.cate_convs.{i}.gn.{*}"},
      {"ins_head.kernel_tower.{3i}.weight", "bbox_head.kernel_convs.{i}.conv.weight"},
      {"ins_head.kernel_tower.{3i+1}.{*}", "bbox_head.kernel_convs.{i}.gn.{*}"},
      {"ins_head.cate_pred.{*}", "bbox_head.solo_cate.{*}"},
      {"ins_head.kernel_pred.{*}", "bbox_head.solo_kernel.{*}"},
      {"mask_head.convs_all_levels.{i}.conv{j}.0.weight", "mask_feat_head.convs_all_levels.{i}.conv{j}.conv.weight"},
      {"mask_head.convs_all_levels.{i}.conv{j}.1.{*}", "mask_feat_head.convs_all_levels.{i}.conv{j}.gn.{*}"},
      {"mask_head.conv_pred.0.weight", "mask_feat_head.conv_pred.0.conv.weight"},
      {"mask_head.conv_pred.1.{*}", "mask_feat_head.conv_pred.0.gn.{*}"},
  };
}

// SOTR has one spelling, detectron2's; what it shares with SOLOv2 is in those rules.
std::vector<Rule> sotr() {
  const std::string blocks = "cate_head.transformer.layers.blocks.";
  return own_names({
      {"cate_head.cate_pred.{*}", ""},
      {"cate_head.kernel_pred.{*}", ""},
      {blocks + "{i}.{j}.g", ""},
      {blocks + "{i}.{j}.fn.g", ""},
      {blocks + "{i}.{j}.fn.fn.{*}.weight", ""},
      {blocks + "{i}.{j}.fn.fn.{*}.bias", ""},
      {blocks + "{i}.{j}.fn.{k}.{*}", ""},
  });
}

}  // namespace iuq::weights
