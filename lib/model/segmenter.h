#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/view/scene.h"

namespace iuq::model {

// The project's legend: B images, V views, N instances, Q queries, K negatives per query, P pixels, C channels or
// classes, D width of the mask features, H W rows and columns of a map, Hi Wi those of the input canvas.

/// Backbone or neck maps, finest first: level l is [B, C_l, Hi/s_l, Wi/s_l] float32.
using FeaturePyramid = std::vector<at::Tensor>;

/// The canvas all images of a batch share, and the part of it that each image fills (from the top left corner).
struct Frame {
  view::Size canvas;
  std::vector<view::Size> valid;  // B
  uint64_t draw = 0;              // what random choices for this batch are drawn from; the trainer's differs by step
};

/// Everything a segmenter computes from the backbone maps of a batch.
struct Encoded {
  FeaturePyramid neck;            // strides are the segmenter's own
  at::Tensor mask_features;       // [B, D, Hi/s, Wi/s], s = mask_stride()
  std::vector<at::Tensor> dense;  // outputs of the dense heads; only the segmenter knows their meaning
  Frame frame;
};

/// Query vectors and where they come from, in the segmenter's fixed order.
struct Queries {
  at::Tensor vectors;   // [Q, Dq] float32; Dq = D for inner products, the number of parameters for dynamic heads
  at::Tensor image;     // [Q] int64, index in the batch
  at::Tensor instance;  // [Q] int64, index of the ground truth in that image (after assign)
  at::Tensor label;     // [Q] int64, class of that ground truth
  at::Tensor score;     // [Q] float32 in [0, 1], the segmenter's present score for that class; no gradient
  at::Tensor place;     // [Q, 3] float32: x, y in input pixels, level; for segmenters whose masks depend on position
  std::vector<at::Tensor> dense_targets;  // class targets of the dense heads; only the segmenter knows their meaning
  uint64_t draw = 0;    // of the frame they were assigned in
  int64_t count() const { return vectors.size(0); }
};

/// Loose pixels, possibly of other images: rows of a mask feature map.
struct PixelSet {
  at::Tensor embeddings;  // [P, D] float32
  at::Tensor position;    // [P, 2] float32, x and y in input pixels: mask stride times column and row
  at::Tensor place;       // [P, 3] float32, the place (as in Queries) of the pixel's own instance
};

/// Named loss terms, already weighted; their sum is the base loss.
using Losses = std::vector<std::pair<std::string, at::Tensor>>;

/// What one image's instances look like to the network.
struct Prediction {
  at::Tensor scores;  // [K] float32 in [0, 1], descending
  at::Tensor labels;  // [K] int64, category index
  at::Tensor masks;   // [K, H, W] float32 over the whole canvas, small, in the scale the segmenter resizes in
  double threshold = 0.5;  // foreground is where the resized mask exceeds it
};

/// A query-based instance segmenter. `uniq`, `train`, `infer` and the tools know segmenters through this only.
/// All tensors of one call live on one device; gradients flow unless a comment says otherwise.
class Segmenter : public torch::nn::Module {
 public:
  using torch::nn::Module::Module;

  virtual FeaturePyramid backbone(const at::Tensor& images) = 0;     // [B, 3, Hi, Wi] -> strides 4, 8, 16, 32
  virtual FeaturePyramid neck(const FeaturePyramid& backbone) = 0;
  virtual at::Tensor mask_features(const FeaturePyramid& neck, const Frame& frame) = 0;
  /// neck, mask branch and dense heads.
  virtual Encoded encode(const FeaturePyramid& backbone, const Frame& frame) = 0;
  /// The queries that the segmenter's target assignment gives to the instances; Q = 0 is valid.
  virtual Queries assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) = 0;
  virtual Losses base_losses(const Encoded& encoded, const Queries& queries,
                             const std::vector<view::GroundTruth>& truth) = 0;
  /// The mask part of the base loss alone, with its own weights, on any mask features of the right frame.
  ///   valid  [B, H, W] bool or undefined: cells outside are left out.   returns [] float32, 0 when Q = 0
  virtual at::Tensor mask_loss(const Queries& queries, const at::Tensor& mask_features,
                               const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) = 0;
  /// Masks of the queries on the maps of their own images: [Q, H, W] logits.
  virtual at::Tensor mask_logits(const Queries& queries, const at::Tensor& mask_features) = 0;
  /// The same operation on loose pixels: [Q, P] logits. On pixels taken from a query's own map, with the query's place,
  /// it equals mask_logits there.
  virtual at::Tensor pixel_logits(const Queries& queries, const PixelSet& pixels) = 0;
  /// Which cells of the mask feature map belong to each instance: [N, H, W] bool.
  virtual at::Tensor instance_cells(const view::GroundTruth& truth) = 0;
  virtual std::vector<Prediction> predict(const Encoded& encoded) = 0;
  /// Masks of a prediction [K, H, W] on the canvas: [K, Hi, Wi]. Plain bilinear unless the segmenter resizes otherwise.
  virtual at::Tensor to_canvas(const at::Tensor& masks, view::Size canvas);
  /// What the scores of a prediction are multiplied by once its masks are known at the image's own size, for segmenters
  /// that score a mask by its pixels: [K, H, W] resized masks -> [K] float32 in [0, 1]. Ones unless the segmenter says
  /// otherwise.
  virtual at::Tensor score_factors(const at::Tensor& masks);

  virtual int64_t mask_stride() const = 0;           // input pixels per cell of mask_features
  virtual view::Alignment alignment() const = 0;     // of the backbone
  virtual std::vector<int64_t> backbone_channels() const = 0;
  /// Parameters of `backbone`, by prefix of their names.
  virtual std::string backbone_prefix() const = 0;
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
