#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/view/transform.h"

namespace iuq::nn {

struct BackboneConfig;

/// What turns images into the four maps that every neck and pixel decoder starts from. Its parameter names are those of
/// the reference, without the prefix that its owner registers it under.
class Backbone : public torch::nn::Module {
 public:
  using torch::nn::Module::Module;
  /// [B, 3, Hi, Wi] -> four maps [B, C_l, Hi/s, Wi/s], s = 4, 8, 16, 32; Hi and Wi multiples of 32.
  virtual std::vector<at::Tensor> forward(const at::Tensor& images) = 0;
  virtual std::vector<int64_t> channels() const = 0;  // C_l
  virtual view::Alignment alignment() const = 0;      // which flip lands on the grids of the maps
};

/// The backbone of section "model.backbone", parameters not yet initialised (see init_modules_).
std::shared_ptr<Backbone> make_backbone(const BackboneConfig& config);

}  // namespace iuq::nn
