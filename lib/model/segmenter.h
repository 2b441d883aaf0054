#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/model/batch.h"

namespace iuq::nn {
class Backbone;
}

namespace iuq::model {

/// A query-based instance segmenter. `uniq`, `train`, `infer` and the tools know segmenters through this only.
/// All tensors of one call live on one device; gradients flow unless a comment says otherwise.
///
/// The public calls check shapes and types, of what goes in and of what the segmenter returns, and throw Error(kInternal)
/// naming the tensor; the checks do not wait for the device. A segmenter implements the protected ones. README.md has the list of what
/// a new one brings.
class Segmenter : public torch::nn::Module {
 public:
  FeaturePyramid backbone(const at::Tensor& images);  // [B, 3, Hi, Wi] float32 -> strides 4, 8, 16, 32
  FeaturePyramid neck(const FeaturePyramid& backbone);
  /// -> [B, D, Hi/s, Wi/s] float32, s = mask_stride(). Levels that the mask branch does not read may be undefined.
  at::Tensor mask_features(const FeaturePyramid& neck, const Frame& frame);
  /// Neck, mask branch and all other heads.
  Encoded encode(const FeaturePyramid& backbone, const Frame& frame);
  /// The queries that the segmenter's target assignment gives to the instances; Q = 0 is valid. `truth`: B images whose
  /// masks are of the canvas.
  Queries assign(const Encoded& encoded, const std::vector<view::Instances>& truth);
  /// `queries` as assign gave them for this batch, all or some.
  Losses base_losses(const Encoded& encoded, const Queries& queries, const std::vector<view::Instances>& truth);
  /// The mask part of the base loss alone, with its own weights, on any mask features of the right frame.
  ///   valid  [B, H, W] bool or undefined: cells outside are left out.   returns [] float32, 0 when Q = 0
  at::Tensor mask_loss(const Queries& queries, const at::Tensor& mask_features,
                       const std::vector<view::Instances>& truth, const at::Tensor& valid);
  /// Masks of the queries on the maps of their own images, [B, D, H, W] -> [Q, H, W] logits.
  at::Tensor mask_logits(const Queries& queries, const at::Tensor& mask_features);
  /// The same operation on loose pixels: [Q, P] logits. On pixels taken from a query's own map, with the query's anchor, it
  /// equals mask_logits there.
  at::Tensor pixel_logits(const Queries& queries, const PixelSet& pixels);
  /// Which cells of the mask feature map belong to each instance: [N, H, W] bool. An instance too small for any has the one
  /// at its centroid.
  at::Tensor instance_cells(const view::Instances& truth);
  std::vector<Prediction> predict(const Encoded& encoded);
  /// Masks of a prediction [K, H, W] on the canvas: [K, Hi, Wi].
  at::Tensor to_canvas(const at::Tensor& masks, view::Size canvas);
  /// What the scores of a prediction are multiplied by once its masks are known at the image's own size: [K, H, W] resized
  /// masks -> [K] float32 in [0, 1].
  at::Tensor score_factors(const at::Tensor& masks);

  int64_t mask_stride() const { return traits_.mask_stride; }
  int64_t mask_channels() const { return traits_.mask_channels; }  // D
  int64_t query_width() const { return traits_.query_width; }      // Dq
  /// Parameters of `backbone`, by prefix of their names.
  const std::string& backbone_prefix() const { return traits_.backbone_prefix; }
  view::Alignment alignment() const;  // of the backbone
  std::vector<int64_t> backbone_channels() const;

 protected:
  /// What a segmenter is, whatever its input.
  struct Traits {
    const char* name;
    std::string backbone_prefix;  // module names, each followed by a dot
    int64_t mask_stride;          // input pixels per cell of the mask features
    int64_t mask_channels;        // D
    int64_t query_width;          // Dq
  };
  /// Registers the backbone under its prefix, before anything else of the segmenter.
  Segmenter(const Traits& traits, std::shared_ptr<nn::Backbone> backbone);

  // Arguments are those of the public calls, already checked.
  virtual FeaturePyramid do_neck(const FeaturePyramid& backbone) = 0;
  virtual at::Tensor do_mask_features(const FeaturePyramid& neck) = 0;
  /// Outputs of all other heads: what becomes Encoded::heads.
  virtual std::shared_ptr<const SegmenterState> do_heads(const FeaturePyramid& neck, const at::Tensor& mask_features) = 0;
  virtual Queries do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) = 0;
  virtual Losses do_base_losses(const Encoded& encoded, const Queries& queries,
                                const std::vector<view::Instances>& truth) = 0;
  virtual at::Tensor do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                  const std::vector<view::Instances>& truth, const at::Tensor& valid) = 0;
  /// Masks at the stride of the mask features, as the mask loss sees them: [N, Hi, Wi] bool -> [N, H, W] bool.
  virtual at::Tensor do_cells(const at::Tensor& masks) = 0;
  virtual std::vector<Prediction> do_predict(const Encoded& encoded) = 0;
  /// Masks of queries of one image on its map [D, H, W]: [Q, H, W] logits. Inner products unless the segmenter says
  /// otherwise; then it says so for pixels as well.
  virtual at::Tensor do_mask_logits(const Queries& queries, const at::Tensor& map);
  virtual at::Tensor do_pixel_logits(const Queries& queries, const PixelSet& pixels);
  virtual at::Tensor do_to_canvas(const at::Tensor& masks, view::Size canvas);  // plain bilinear
  virtual at::Tensor do_score_factors(const at::Tensor& masks);                 // ones

 private:
  void check(const Encoded& encoded) const;
  void check(const Encoded& encoded, const std::vector<view::Instances>& truth) const;
  int64_t cells(int64_t pixels) const;  // rows or columns of the mask features

  Traits traits_;
  std::shared_ptr<nn::Backbone> backbone_;
};

/// Section "model" of the config: which segmenter, and the fields that one reads.
/// Error(kConfig) on an unknown name or field. Parameters are initialised from `seed`, as the reference does.
std::shared_ptr<Segmenter> make_segmenter(const nlohmann::json& config, int64_t classes, uint64_t seed);
/// The names that "model.name" may have, ascending.
std::vector<std::string> segmenter_names();
/// The section with every default filled in, as it is stored in checkpoints.
nlohmann::json effective_model_config(const nlohmann::json& config);
/// What each field of it means.
ConfigDoc describe_model_config(const nlohmann::json& config);

}  // namespace iuq::model
