#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <vector>

namespace iuq::nn {

/// Feature pyramid P2..P6, registered on `owner` under detectron2's names fpn_lateral2..5 and fpn_output2..5; P6 is every
/// second cell of P5. Source: models.md 1.2, detectron2/modeling/backbone/fpn.py.
class Fpn {
 public:
  Fpn() = default;
  Fpn(torch::nn::Module& owner, const std::vector<int64_t>& in_channels, int64_t channels);
  /// res2..res5 [B, C_l, H_l, W_l] -> p2..p6 [B, channels, H_l, W_l].
  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& features) const;

 private:
  std::vector<std::shared_ptr<torch::nn::Module>> lateral_, output_;
};

}  // namespace iuq::nn
