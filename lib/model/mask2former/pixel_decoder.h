#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "lib/model/mask2former/config.h"
#include "lib/nn/conv.h"

namespace iuq::model {

/// Deformable attention over three levels of the backbone, and mask features at the stride of its finest map; names as the
/// reference's pixel_decoder. Source: REFERENCE.md 1.
class Mask2FormerPixelDecoderImpl : public torch::nn::Module {
 public:
  /// `in_channels`: of the backbone's four maps, finest first.
  Mask2FormerPixelDecoderImpl(const Mask2FormerConfig& config, const std::vector<int64_t>& in_channels);
  /// The backbone's four maps of any sizes -> the last three [B, width, H, W] after attention over all of them, in the same
  /// order (finest first).
  std::vector<at::Tensor> levels(const std::vector<at::Tensor>& backbone);
  /// The backbone's finest map and the finest of levels() -> [B, D, H, W] of the first one's size.
  at::Tensor mask_features(const at::Tensor& finest, const at::Tensor& level);

 private:
  class Layer;
  struct Normed {
    nn::Conv conv;
    torch::nn::GroupNorm norm;
  };
  int64_t width_;
  std::vector<Normed> inputs_;  // coarsest level first, as the reference has them
  at::Tensor level_embed_;      // [3, width]
  std::vector<std::shared_ptr<Layer>> layers_;
  Normed lateral_{nullptr, nullptr}, output_{nullptr, nullptr};
  nn::Conv mask_features_{nullptr};
};
TORCH_MODULE(Mask2FormerPixelDecoder);

}  // namespace iuq::model
