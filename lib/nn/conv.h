#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <string>

namespace iuq::nn {

/// A module that can set its own parameters; `generator` is seeded by the parameter's name, so that adding a layer does
/// not change the start of the others.
class Initialised {
 public:
  virtual ~Initialised() = default;
  virtual void init_(at::Generator generator) = 0;
};
/// Calls init_ of every Initialised module below `root`.
void init_modules_(torch::nn::Module& root, uint64_t seed);

enum class NormKind {
  kNone,
  kFrozen,  // batch norm whose four tensors are constants (buffers): x*scale + shift
  kBatch,   // batch norm with batch statistics in training mode, running ones otherwise
};
NormKind norm_kind(const std::string& name);  // "frozen" or "batch"; Error(kConfig)

/// Batch norm under the names weight, bias, running_mean, running_var; eps 1e-5. Source: REFERENCE.md 1.1.
class NormImpl : public torch::nn::Module {
 public:
  NormImpl(int64_t channels, NormKind kind);
  at::Tensor forward(const at::Tensor& x);  // [B, C, H, W] -> same
  /// Whether the statistics are constants, so that the norm is x * scale + shift.
  bool is_affine() const { return kind_ == NormKind::kFrozen || !is_training(); }
  at::Tensor scale() const;                          // [C]
  at::Tensor shift(const at::Tensor& scale) const;   // [C]

 private:
  NormKind kind_;
  at::Tensor weight_, bias_, mean_, var_;  // [C] float32
};
TORCH_MODULE(Norm);

enum class ConvInit {
  kHeFanOut,       // normal, deviation sqrt(2 / (k*k*out)); backbones
  kXavierUniform,  // uniform of Kaiming's formula with a = 1: bound sqrt(3 / fan_in); FPN
  kGlorotUniform,  // uniform, bound sqrt(6 / (fan_in + fan_out))
  kSmall,          // normal, deviation 0.01; heads
  kPlain,          // PyTorch's own: uniform with bound 1 / sqrt(fan_in), the bias too unless bias_value is set
};

/// Convolution with an optional norm of its own (child "norm"), as detectron2 names them. Bias starts at `bias_value`.
/// An affine norm is folded into the weights where a map has more values than they: a pass over the map less, and in training
/// a map less to keep. Whether it is depends on the size of the map alone, not on the batch, so shards agree.
class ConvImpl : public torch::nn::Module, public Initialised {
 public:
  struct Options {
    int64_t in = 0, out = 0, kernel = 3, stride = 1;
    bool bias = true;
    NormKind norm = NormKind::kNone;
    ConvInit init = ConvInit::kSmall;
    double bias_value = 0;
  };
  explicit ConvImpl(const Options& options);
  at::Tensor forward(const at::Tensor& map);  // [B, in, H, W] -> [B, out, H/stride, W/stride], padding kernel/2
  void init_(at::Generator generator) override;

 private:
  Options options_;
  at::Tensor weight_, bias_;
  Norm norm_{nullptr};
};
TORCH_MODULE(Conv);

/// Appends x then y in [-1, 1] (both ends included) over the map: [B, C, H, W] -> [B, C+2, H, W]. Source: REFERENCE.md 5.
at::Tensor with_coordinates(const at::Tensor& x);
/// Bilinear resize, align_corners false, no antialias: [B, C, H, W] -> [B, C, height, width].
at::Tensor resize_bilinear(const at::Tensor& x, int64_t height, int64_t width);

}  // namespace iuq::nn
