#include "lib/weights/rules.h"

// Sources: WEIGHTS.md 2; d2:tools/convert-torchvision-to-d2.py; d2:detectron2/checkpoint/c2_model_loading.py.
namespace iuq::weights {

std::vector<Rule> operator+(std::vector<Rule> a, const std::vector<Rule>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<Rule> prefixed(const std::string& ours, const std::string& theirs, std::vector<Rule> rules) {
  for (Rule& rule : rules) {
    rule.ours = ours + rule.ours;
    rule.theirs = theirs + rule.theirs;
  }
  return rules;
}

std::vector<Rule> own_names(std::vector<Rule> rules) {
  for (Rule& rule : rules) rule = {rule.ours, rule.ours};
  return rules;
}

std::vector<Rule> resnet_torchvision() {
  return {
      {"stem.conv1.weight", "conv1.weight"},
      {"stem.conv1.norm.{*}", "bn1.{*}"},
      {"res{k+1}.{i}.conv{j}.weight", "layer{k}.{i}.conv{j}.weight"},
      {"res{k+1}.{i}.conv{j}.norm.{*}", "layer{k}.{i}.bn{j}.{*}"},
      {"res{k+1}.{i}.shortcut.weight", "layer{k}.{i}.downsample.0.weight"},
      {"res{k+1}.{i}.shortcut.norm.{*}", "layer{k}.{i}.downsample.1.{*}"},
  };
}

// The MSRA files of Caffe2. Their norms were written both as trained ("gamma") and folded ("s", without statistics).
std::vector<Rule> resnet_caffe2() {
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
    rules.push_back({conv.ours + ".weight", conv.theirs + "_w"});
    const std::string norm = conv.theirs == "conv1" ? "res_conv1" : conv.theirs;
    for (const Rule& field : fields) rules.push_back({conv.ours + ".norm." + field.ours, norm + "_bn_" + field.theirs});
  }
  return rules;
}

std::vector<Rule> fpn_mmdet() {
  return {
      {"backbone.fpn_lateral{k+2}.{*}", "neck.lateral_convs.{k}.conv.{*}"},
      {"backbone.fpn_output{k+2}.{*}", "neck.fpn_convs.{k}.conv.{*}"},
  };
}

}  // namespace iuq::weights
