#include "lib/model/weights/naming.h"

namespace iuq::weights {
namespace {

// Sources of the tables: models.md 1.1 and 1.2 (backbone and FPN), 3.2 (SOLOv2); detectron2's
// tools/convert-torchvision-to-d2.py and detectron2/checkpoint/c2_model_loading.py.

const std::string kBottomUp = "backbone.bottom_up.";

std::vector<Rule> resnet_torchvision(const std::string& prefix) {
  return {
      {kBottomUp + "stem.conv1.weight", prefix + "conv1.weight"},
      {kBottomUp + "stem.conv1.norm.{*}", prefix + "bn1.{*}"},
      {kBottomUp + "res{k+1}.{i}.conv{j}.weight", prefix + "layer{k}.{i}.conv{j}.weight"},
      {kBottomUp + "res{k+1}.{i}.conv{j}.norm.{*}", prefix + "layer{k}.{i}.bn{j}.{*}"},
      {kBottomUp + "res{k+1}.{i}.shortcut.weight", prefix + "layer{k}.{i}.downsample.0.weight"},
      {kBottomUp + "res{k+1}.{i}.shortcut.norm.{*}", prefix + "layer{k}.{i}.downsample.1.{*}"},
  };
}

std::vector<Rule> fpn_mmdet() {
  return {
      {"backbone.fpn_lateral{k+2}.{*}", "neck.lateral_convs.{k}.conv.{*}"},
      {"backbone.fpn_output{k+2}.{*}", "neck.fpn_convs.{k}.conv.{*}"},
  };
}

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
  std::vector<Rule> rules = {
      {"cate_head.cate_pred.{*}", ""},
      {"cate_head.kernel_pred.{*}", ""},
      {blocks + "{i}.{j}.g", ""},
      {blocks + "{i}.{j}.fn.g", ""},
      {blocks + "{i}.{j}.fn.fn.{*}.weight", ""},
      {blocks + "{i}.{j}.fn.fn.{*}.bias", ""},
      {blocks + "{i}.{j}.fn.{k}.{*}", ""},
  };
  for (Rule& rule : rules) rule.theirs = rule.ours;
  return rules;
}

// P3 is the finest level, and P6 and P7 are convolutions. Source: models.md 2.2.
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
  return {{"mask_branch.seg_head.{i}.{j}.{*}", ""}, {"mask_branch.logits.{*}", ""}, {"mask_branch.tower.{i}.{*}", ""}};
}

std::vector<Rule> operator+(std::vector<Rule> a, const std::vector<Rule>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Our names are detectron2's: the left column of the tables, on both sides.
std::vector<Rule> identity() {
  std::vector<Rule> rules = resnet_torchvision("") + fpn_mmdet() + solov2_mmdet() + sotr() + condinst_mmdet() + condinst_more();
  for (Rule& rule : rules) rule.theirs = rule.ours;
  return rules;
}

// A backbone alone, as detectron2's converted ImageNet files have it.
std::vector<Rule> bare_backbone() {
  std::vector<Rule> rules = resnet_torchvision("");
  for (Rule& rule : rules) rule.theirs = rule.ours.substr(kBottomUp.size());
  return rules;
}

// The MSRA files of Caffe2. Their norms were written both as trained ("gamma") and folded ("s", without statistics).
std::vector<Rule> caffe2() {
  const std::vector<Rule> convs = {
      {"stem.conv1", "conv1"},
      {"res{k}.{i}.shortcut", "res{k}_{i}_branch1"},
      {"res{k}.{i}.conv1", "res{k}_{i}_branch2a"},
      {"res{k}.{i}.conv2", "res{k}_{i}_branch2b"},
      {"res{k}.{i}.conv3", "res{k}_{i}_branch2c"},
  };
  const std::vector<Rule> fields = {
      {"weight", "gamma"}, {"bias", "beta"}, {"running_mean", "running_mean"}, {"running_var", "running_var"},
      {"weight", "s"},     {"bias", "b"},    {"running_mean", "rm"},           {"running_var", "riv"},
  };
  std::vector<Rule> rules;
  for (const Rule& conv : convs) {
    rules.push_back({kBottomUp + conv.ours + ".weight", conv.theirs + "_w"});
    const std::string norm = conv.theirs == "conv1" ? "res_conv1" : conv.theirs;
    for (const Rule& field : fields) {
      rules.push_back({kBottomUp + conv.ours + ".norm." + field.ours, norm + "_bn_" + field.theirs});
    }
  }
  return rules;
}

}  // namespace

const std::vector<Naming>& namings() {
  static const std::vector<Naming> all = {
      {"detectron2", "detectron2", "AdelaiDet and detectron2 models", identity(),
       {"pixel_mean", "pixel_std", "mask_head.sizes_of_interest", "mask_head._iter", "{**}.num_batches_tracked"},
       Preprocessing::kUnknown},
      {"detectron2 backbone", "detectron2", "detectron2's ImageNet backbones", bare_backbone(),
       {"{**}.num_batches_tracked", "fc.{*}", "stem.fc.{*}"}, Preprocessing::kUnknown},
      {"caffe2", "detectron2", "the MSRA ImageNet backbones of detectron2's model zoo", caffe2(),
       {"conv1_b", "pred_w", "pred_b", "fc1000_w", "fc1000_b", "{**}_momentum"}, Preprocessing::kCaffeBgr},
      {"torchvision", "torchvision", "torchvision's ImageNet ResNets", resnet_torchvision(""),
       {"fc.{*}", "{**}.num_batches_tracked"}, Preprocessing::kRgb},
      {"mmdet", "mmdet", "mmdetection 3.x", resnet_torchvision("backbone.") + fpn_mmdet() + solov2_mmdet(),
       {"data_preprocessor.{*}", "backbone.fc.{*}", "{**}.num_batches_tracked"}, Preprocessing::kRgb},
      {"mmdet condinst", "mmdet", "mmdetection 3.x", resnet_torchvision("backbone.") + condinst_mmdet(),
       {"data_preprocessor.{*}", "backbone.fc.{*}", "{**}.num_batches_tracked"}, Preprocessing::kRgb, {"{**}.scale"}},
      {"solo", "solo", "the authors' SOLO repository", resnet_torchvision("backbone.") + fpn_mmdet() + solov2_solo(),
       {"backbone.fc.{*}", "{**}.num_batches_tracked"}, Preprocessing::kRgb},
  };
  return all;
}

}  // namespace iuq::weights
