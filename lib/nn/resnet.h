#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "lib/nn/backbone.h"
#include "lib/nn/backbone_config.h"
#include "lib/nn/conv.h"

namespace iuq::nn {

/// Residual network under detectron2's names: stem.conv1, res2..res5.{block}.{conv1,conv2,conv3,shortcut}.
/// Source: REFERENCE.md 1; tv:torchvision/models/resnet.py.
class ResNetImpl : public Backbone {
 public:
  explicit ResNetImpl(const ResNetConfig& config);
  std::vector<at::Tensor> forward(const at::Tensor& images) override;  // res2..res5
  std::vector<int64_t> channels() const override { return channels_; }
  view::Alignment alignment() const override { return view::Alignment::kStrided; }

 private:
  Conv stem_{nullptr};
  std::vector<std::vector<std::shared_ptr<torch::nn::Module>>> stages_;
  std::vector<int64_t> channels_;
};
TORCH_MODULE(ResNet);

}  // namespace iuq::nn
