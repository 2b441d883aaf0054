#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "lib/model/sotr/config.h"

namespace iuq::model {

/// Attention along rows and along columns, in turn with pairs of convolutions, each added through a scalar that starts at 0,
/// so that the whole starts as the identity. The input stands beside itself while it is worked on and the mean of the two
/// halves comes out: they differ through the seam of the convolutions alone. There is no positional encoding.
/// Names as in the reference: layers.blocks.{2k}.{0,1}.fn.{g,fn.*}, layers.blocks.{2k+1}.{0,1}.{g,fn.{0,2}.*}.
/// Source: REFERENCE.md 1; Guo et al., "SOTR", section 3.2.
class TwinTransformerImpl : public torch::nn::Module {
 public:
  explicit TwinTransformerImpl(const SotrConfig& config);
  at::Tensor forward(const at::Tensor& x);  // [B, C, H, W] -> same, C = config.channels

 private:
  class Attention;
  class ConvPair;
  struct Layer {
    std::vector<std::shared_ptr<Attention>> attention;  // along the height, along the width
    std::vector<std::shared_ptr<ConvPair>> convs;       // two in parallel
  };
  std::vector<Layer> layers_;
};
TORCH_MODULE(TwinTransformer);

}  // namespace iuq::model
