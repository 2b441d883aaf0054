#include "lib/weights/naming.h"

#include "lib/weights/rules.h"

namespace iuq::weights {
namespace {

// Ours for a backbone below an FPN, and for one that Mask2Former owns; a backbone alone comes in under the first.
const std::string kBottomUp = "backbone.bottom_up.", kBackbone = "backbone.";

// A backbone alone: comes in as ours, and goes out of models of both kinds.
std::vector<Rule> backbone_alone(const std::vector<Rule>& rules) {
  return prefixed(kBottomUp, "", rules) + prefixed(kBackbone, "", rules);
}

// Models with an FPN under our names, which are detectron2's.
std::vector<Rule> fpn_models() {
  return own_names(prefixed(kBottomUp, "", resnet_torchvision() + swin_microsoft()) + fpn_mmdet() + solov2_mmdet() + sotr() +
                   condinst_mmdet() + condinst_more());
}

std::vector<Rule> mask2former_models() {
  return own_names(prefixed(kBackbone, "", resnet_torchvision() + swin_microsoft())) + mask2former_own();
}

std::vector<Rule> mmdet_backbones(const std::string& ours) {
  return prefixed(ours, "backbone.", resnet_torchvision() + swin_mmdet());
}

// Buffers that are computed, not learned.
const std::vector<std::string> kBuffers = {"{**}.num_batches_tracked", "{**}.relative_position_index", "{**}.attn_mask"};

std::vector<std::string> drops(std::vector<std::string> patterns) {
  patterns.insert(patterns.end(), kBuffers.begin(), kBuffers.end());
  return patterns;
}

}  // namespace

const std::vector<Naming>& namings() {
  const auto rgb = Preprocessing::kRgb, unknown = Preprocessing::kUnknown;
  static const std::vector<Naming> all = {
      {"detectron2", "detectron2", "AdelaiDet and detectron2 models", fpn_models(),
       drops({"pixel_mean", "pixel_std", "mask_head.sizes_of_interest", "mask_head._iter"}), unknown},
      {"detectron2 backbone", "detectron2", "detectron2's ImageNet backbones", backbone_alone(own_names(resnet_torchvision())),
       drops({"fc.{*}", "stem.fc.{*}"}), unknown},
      {"caffe2", "detectron2", "the MSRA ImageNet backbones of detectron2's model zoo", prefixed(kBottomUp, "", resnet_caffe2()),
       {"conv1_b", "pred_w", "pred_b", "fc1000_w", "fc1000_b", "{**}_momentum"}, Preprocessing::kCaffeBgr},
      {"mask2former", "detectron2", "Mask2Former models", mask2former_models(),
       drops({"pixel_mean", "pixel_std", "criterion.empty_weight"}), rgb},
      {"torchvision", "torchvision", "torchvision's ImageNet ResNets", backbone_alone(resnet_torchvision()), drops({"fc.{*}"}),
       rgb},
      {"torchvision swin", "torchvision", "torchvision's ImageNet Swin Transformers", backbone_alone(swin_torchvision()),
       drops({"norm.{*}", "head.{*}"}), rgb},
      {"microsoft", "microsoft", "Microsoft's Swin Transformers", backbone_alone(swin_microsoft()),
       drops({"norm.{*}", "head.{*}"}), rgb},
      {"timm", "timm", "timm's Swin Transformers", backbone_alone(swin_timm()), drops({"norm.{*}", "head.fc.{*}"}), rgb},
      {"hf", "hf", "Hugging Face's Swin Transformers", backbone_alone(swin_hf()),
       drops({"swin.layernorm.{*}", "layernorm.{*}", "classifier.{*}"}), rgb},
      {"hf mask2former", "hf", "Hugging Face's Mask2Former",
       prefixed(kBackbone, "model.pixel_level_module.encoder.", swin_hf()) + mask2former_hf(),
       drops({"model.pixel_level_module.encoder.swin.layernorm.{*}", "criterion.empty_weight"}), rgb},
      {"mmdet", "mmdet", "mmdetection 3.x", mmdet_backbones(kBottomUp) + fpn_mmdet() + solov2_mmdet(),
       drops({"data_preprocessor.{*}", "backbone.fc.{*}"}), rgb},
      {"mmdet condinst", "mmdet", "mmdetection 3.x", mmdet_backbones(kBottomUp) + condinst_mmdet(),
       drops({"data_preprocessor.{*}", "backbone.fc.{*}"}), rgb, {"{**}.scale"}},
      {"mmdet mask2former", "mmdet", "mmdetection's Mask2Former", mmdet_backbones(kBackbone) + mask2former_mmdet(),
       drops({"data_preprocessor.{*}", "backbone.fc.{*}", "panoptic_head.loss_cls.class_weight"}), rgb},
      {"solo", "solo", "the authors' SOLO repository",
       prefixed(kBottomUp, "backbone.", resnet_torchvision()) + fpn_mmdet() + solov2_solo(), drops({"backbone.fc.{*}"}), rgb},
  };
  return all;
}

}  // namespace iuq::weights
