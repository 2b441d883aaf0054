#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "lib/base/rng.h"
#include "lib/nn/backbone.h"
#include "lib/nn/backbone_config.h"
#include "lib/nn/stochastic.h"
#include "lib/nn/windows.h"

namespace iuq::nn {

/// Swin Transformer in its form for dense prediction, under Microsoft's names: patch_embed.{proj,norm},
/// layers.{s}.blocks.{b}.{norm1,attn,norm2,mlp}, layers.{s}.downsample, and a norm{s} for each output. Maps whose sides are no
/// multiples of 4, or of a window, are padded with zeros on the right and below; odd blocks are always shifted.
/// In training mode each block is skipped for some of the images (stochastic depth), as drawn from the stream of seed_.
/// Works in the type of its parameters (float32 or bfloat16) and returns maps in the type of the images.
/// Source: REFERENCE.md 3; Liu et al., "Swin Transformer", section 3; m2f:mask2former/modeling/backbone/swin.py.
class SwinImpl : public Backbone, public Stochastic {
 public:
  explicit SwinImpl(const SwinConfig& config);
  std::vector<at::Tensor> forward(const at::Tensor& images) override;
  std::vector<int64_t> channels() const override;
  view::Alignment alignment() const override { return view::Alignment::kPatch; }
  void seed_(uint64_t seed) override { rng_ = Rng(seed, "drop path"); }

 private:
  class Stage;
  at::Tensor embed(const at::Tensor& images, view::Size& map);
  at::Tensor draw_kept(int64_t batch, const at::Tensor& like);

  SwinConfig config_;
  std::shared_ptr<torch::nn::Module> patch_proj_;
  torch::nn::LayerNorm patch_norm_{nullptr};
  std::vector<std::shared_ptr<Stage>> stages_;
  std::vector<torch::nn::LayerNorm> norms_;
  Rng rng_{0, "drop path"};
};
TORCH_MODULE(Swin);

}  // namespace iuq::nn
