#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <vector>

#include "lib/mask/rle.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/view/transform.h"

namespace iuq::infer {

/// One instance found in an image.
struct Detection {
  double score = 0;      // [0, 1]
  int64_t category = 0;  // category index
  mask::Rle mask;        // in the image's original size
};

/// What the network sees of an image: `view` of its canvas.
struct Framing {
  view::Size valid;     // the part of the canvas that the image fills, before `view`
  view::Size original;  // of the image on disk
  view::ViewTransform view;  // identity, or mirror() of the canvas
};

/// A checkpoint ready to find instances, one image at a time.
class Predictor {
 public:
  Predictor(model::Checkpoint checkpoint, c10::Device device);

  /// `image` [3, Hi, Wi] float32 as view::to_input makes it, in the view of `framing`. Masks come back out of the view, in
  /// the image's original size: of those that the segmenter gives, and whose masks are not empty, the best `max_detections`,
  /// best first.
  std::vector<Detection> detect(const at::Tensor& image, const Framing& framing, int64_t max_detections);
  /// The same from the backbone's maps of that view, [C_l, H_l, W_l] each.
  std::vector<Detection> detect_features(const std::vector<at::Tensor>& levels, const Framing& framing,
                                         int64_t max_detections);
  /// The mirrored view of a canvas that suits the backbone (view::ViewTransform::flip_x).
  view::ViewTransform mirror(view::Size canvas) const;
  const model::Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  std::vector<Detection> finish(const model::FeaturePyramid& features, const Framing& framing, int64_t max_detections);

  model::Checkpoint checkpoint_;
  c10::Device device_;
};

}  // namespace iuq::infer
