#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/view/sample.h"

// What passes between a segmenter and the rest of the program. The calls are in segmenter.h.
namespace iuq::model {

// The project's legend: B images, V views, N instances, Q queries, K negatives per query, P pixels, C channels or
// classes, D width of the mask features, Dq width of a query, H W rows and columns of a map, Hi Wi those of the input
// canvas.

/// Backbone or neck maps, finest first: level l is [B, C_l, Hi/s_l, Wi/s_l] float32.
using FeaturePyramid = std::vector<at::Tensor>;

/// The canvas all images of a batch share, and the part of it that each image fills (from the top left corner).
struct Frame {
  view::Size canvas;
  std::vector<view::Size> valid;  // B
  uint64_t draw = 0;              // what random choices for this batch are drawn from; the trainer's differs by step
};

/// What a segmenter hands from one of its calls to a later one, past everybody else: each segmenter derives types of its
/// own, with a constant `kOwner`, its name. It never changes once made, so copies share it.
struct SegmenterState {
  virtual ~SegmenterState() = default;
};
[[noreturn]] void refuse_state(const SegmenterState* state, const char* owner);
/// `state` as the type that its segmenter made. Error(kInternal) naming the segmenter when it is missing or another one's.
template <class Own>
const Own& own_state(const std::shared_ptr<const SegmenterState>& state) {
  const auto* own = dynamic_cast<const Own*>(state.get());
  if (own == nullptr) refuse_state(state.get(), Own::kOwner);
  return *own;
}

/// Everything a segmenter computes from the backbone maps of a batch.
struct Encoded {
  FeaturePyramid neck;       // strides are the segmenter's own
  at::Tensor mask_features;  // [B, D, Hi/s, Wi/s] float32, s = mask_stride()
  std::shared_ptr<const SegmenterState> heads;  // outputs of its other heads
  Frame frame;
};

/// Query vectors and where they come from, in the segmenter's fixed order.
struct Queries {
  at::Tensor vectors;   // [Q, Dq] float32; Dq = D for inner products, the number of parameters for dynamic heads
  at::Tensor image;     // [Q] int64, index in the batch
  at::Tensor instance;  // [Q] int64, index of the ground truth in that image
  at::Tensor label;     // [Q] int64, class of that ground truth
  at::Tensor score;     // [Q] float32 in [0, 1], the segmenter's present score for that class; no gradient
  at::Tensor anchor;    // [Q, 3] float32: x, y in input pixels, level; for segmenters whose masks depend on position
  std::shared_ptr<const SegmenterState> targets;  // of its other heads; of the whole batch, whichever queries are here
  uint64_t draw = 0;    // of the frame they were assigned in

  int64_t count() const { return vectors.size(0); }
  /// The queries of these rows, index [K] int64 on the device of the queries, with all that they have. Gradients flow.
  Queries rows(const at::Tensor& index) const;
  /// Queries of several batches, one after the other. They belong to no batch any more, so there are no targets, and
  /// image and instance are the caller's to number. At least one part.
  static Queries cat(const std::vector<Queries>& parts);
  /// Error(kInternal) naming the field unless all have these shapes; `width` is Dq.
  void check(int64_t width) const;
};

/// Loose pixels, possibly of other images: rows of a mask feature map.
struct PixelSet {
  at::Tensor embeddings;  // [P, D] float32
  at::Tensor position;    // [P, 2] float32, x and y in input pixels: mask stride times column and row
  at::Tensor anchor;      // [P, 3] float32, the anchor (as in Queries) of the pixel's own instance

  int64_t count() const { return embeddings.size(0); }
  PixelSet slice(int64_t first, int64_t last) const;  // rows first to last, sharing memory
  /// As Queries::check; `width` is D.
  void check(int64_t width) const;
};

/// Named loss terms, already weighted, [] float32 each; their sum is the base loss.
using Losses = std::vector<std::pair<std::string, at::Tensor>>;

/// What one image's instances look like to the network.
struct Prediction {
  at::Tensor scores;  // [K] float32 in [0, 1], descending
  at::Tensor labels;  // [K] int64, category index
  at::Tensor masks;   // [K, H, W] float32 over the whole canvas, small, in the scale the segmenter resizes in
  double threshold = 0.5;  // foreground is where the resized mask exceeds it
};

}  // namespace iuq::model
