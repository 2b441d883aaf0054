#include "lib/weights/rules.h"

namespace iuq::weights {

// P3 is the finest level, and P6 and P7 are convolutions. Source: WEIGHTS.md 5.
std::vector<Rule> condinst_mmdet() {
  const std::string fcos = "proposal_generator.fcos_head.", mask = "mask_head.mask_feature_head.";
  return {
      {"backbone.top_block.p6.{*}", "neck.fpn_convs.3.conv.{*}"},
      {"backbone.top_block.p7.{*}", "neck.fpn_convs.4.conv.{*}"},
      {"backbone.fpn_lateral{k+3}.{*}", "neck.lateral_convs.{k}.conv.{*}"},
      {"backbone.fpn_output{k+3}.{*}", "neck.fpn_convs.{k}.conv.{*}"},
      {fcos + "cls_tower.{3i}.{*}", "bbox_head.cls_convs.{i}.conv.{*}"},
      {fcos + "cls_tower.{3i+1}.{*}", "bbox_head.cls_convs.{i}.gn.{*}"},
      {fcos + "bbox_tower.{3i}.{*}", "bbox_head.reg_convs.{i}.conv.{*}"},
      {fcos + "bbox_tower.{3i+1}.{*}", "bbox_head.reg_convs.{i}.gn.{*}"},
      {fcos + "cls_logits.{*}", "bbox_head.conv_cls.{*}"},
      {fcos + "bbox_pred.{*}", "bbox_head.conv_reg.{*}"},
      {fcos + "ctrness.{*}", "bbox_head.conv_centerness.{*}"},
      {fcos + "scales.{i}.scale", "bbox_head.scales.{i}.scale"},
      {"controller.{*}", "bbox_head.controller.{*}"},
      {"mask_branch.refine.{i}.0.weight", mask + "convs_all_levels.{i}.conv{i}.conv.weight"},
      {"mask_branch.refine.{i}.1.{*}", mask + "convs_all_levels.{i}.conv{i}.bn.{*}"},
      {"mask_branch.tower.{i}.0.weight", mask + "conv_branch.{i}.conv.weight"},
      {"mask_branch.tower.{i}.1.{*}", mask + "conv_branch.{i}.bn.{*}"},
      {"mask_branch.tower.4.{*}", mask + "conv_pred.{*}"},
  };
}

// What only AdelaiDet's CondInst has: the semantic head of training, and towers of another length.
std::vector<Rule> condinst_more() {
  return own_names({{"mask_branch.seg_head.{i}.{j}.{*}", ""}, {"mask_branch.logits.{*}", ""}, {"mask_branch.tower.{i}.{*}", ""}});
}

}  // namespace iuq::weights
