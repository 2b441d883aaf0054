#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "lib/model/batch.h"
#include "lib/model/mask2former/config.h"
#include "lib/nn/linear.h"
#include "lib/nn/transformer.h"

namespace iuq::model {

/// What each prediction says, before the first layer and after every one: R = decoder_layers + 1 rounds.
struct Mask2FormerRounds : SegmenterState {
  static constexpr const char* kOwner = "Mask2Former";
  std::vector<at::Tensor> classes;     // R times [B, Q, C + 1] logits, the last channel is "no object"
  std::vector<at::Tensor> embeddings;  // R times [B, Q, D]; the mask is the inner product with the mask features
};

/// Learned queries that look at the cells of their own last mask; names as the reference's predictor.
/// Source: REFERENCE.md 2; Cheng et al., "Masked-attention Mask Transformer", section 3.2.
class Mask2FormerMaskedDecoderImpl : public torch::nn::Module {
 public:
  Mask2FormerMaskedDecoderImpl(const Mask2FormerConfig& config, int64_t classes);
  /// levels: three maps [B, width, H, W], finest first; mask_features [B, D, H, W]. No gradient flows through the choice
  /// of cells; a query whose mask is empty on a level looks at all of it.
  Mask2FormerRounds forward(const std::vector<at::Tensor>& levels, const at::Tensor& mask_features);

 private:
  struct Layer {
    nn::Attention cross, self;
    torch::nn::LayerNorm cross_norm, self_norm, ffn_norm;
    nn::Linear linear1, linear2;
  };
  void predict(const at::Tensor& queries, Mask2FormerRounds& rounds);

  int64_t width_;
  std::vector<Layer> layers_;
  torch::nn::LayerNorm norm_{nullptr};
  nn::Embedding query_feat_{nullptr}, query_embed_{nullptr}, level_embed_{nullptr};
  nn::Linear class_embed_{nullptr};
  std::vector<nn::Linear> mask_embed_;
};
TORCH_MODULE(Mask2FormerMaskedDecoder);

}  // namespace iuq::model
