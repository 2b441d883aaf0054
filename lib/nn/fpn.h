#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace torch::nn {
class Module;
}

namespace iuq::nn {

/// What follows P5.
enum class FpnTop {
  kSubsample,  // P6: every second cell of P5
  kConvs,      // P6 = 3x3 s2 (P5), P7 = 3x3 s2 (ReLU(P6)), children top_block.p6 and top_block.p7
};

/// Feature pyramid, registered on `owner` under detectron2's names fpn_lateral2..5 and fpn_output2..5. `in_channels` are
/// those of the backbone's last stages up to res5: four make P2..P5, three P3..P5.
/// Source: REFERENCE.md 2; d2:detectron2/modeling/backbone/fpn.py; adet:adet/modeling/backbone/fpn.py.
class Fpn {
 public:
  Fpn() = default;
  Fpn(torch::nn::Module& owner, const std::vector<int64_t>& in_channels, int64_t channels,
      FpnTop top = FpnTop::kSubsample);
  /// The stages [B, C_l, H_l, W_l] -> a level for each [B, channels, H_l, W_l], then the top.
  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& features) const;

 private:
  std::vector<std::shared_ptr<torch::nn::Module>> lateral_, output_, top_;
};

}  // namespace iuq::nn
