#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/nn/conv.h"

namespace iuq::nn {

/// Key "model.backbone" of the config.
struct ResNetConfig {
  std::string name = "resnet50";  // resnet10, 18, 34 (basic blocks), 50, 101 (bottlenecks)
  int64_t width = 64;             // channels after the stem; 64 is the published size, less makes it tiny
  std::string norm = "frozen";    // "frozen" (pretrained weights) or "batch" (from a random start)
  int64_t freeze = 2;             // parts that do not train: 0 none, 1 stem, 2 stem and res2, ... 5 all
  bool stride_in_1x1 = false;     // true for MSRA/Caffe weights, false for torchvision's (models.md 1.1)
  void check() const;
};
void from_json(const nlohmann::json& j, ResNetConfig& config);
void to_json(nlohmann::json& j, const ResNetConfig& config);

/// Residual network under detectron2's names: stem.conv1, res2..res5.{block}.{conv1,conv2,conv3,shortcut}.
/// Source: models.md 1.1, torchvision/models/resnet.py.
class ResNetImpl : public torch::nn::Module {
 public:
  explicit ResNetImpl(const ResNetConfig& config);
  /// [B, 3, Hi, Wi] -> res2..res5 at strides 4, 8, 16, 32; Hi and Wi multiples of 32.
  std::vector<at::Tensor> forward(const at::Tensor& images);
  std::vector<int64_t> channels() const { return channels_; }  // of the four outputs

 private:
  Conv stem_{nullptr};
  std::vector<std::vector<std::shared_ptr<torch::nn::Module>>> stages_;
  std::vector<int64_t> channels_;
};
TORCH_MODULE(ResNet);

}  // namespace iuq::nn
