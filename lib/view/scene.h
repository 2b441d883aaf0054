#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/view/input.h"
#include "lib/view/transform.h"

namespace iuq::data {
class Dataset;
}

namespace iuq::view {

/// The instances of one image in the frame of one view.
struct GroundTruth {
  int64_t image_id = 0;
  at::Tensor labels;                  // [N] int64, category index 0..C-1
  at::Tensor masks;                   // [N, Hi, Wi] bool on the view's canvas
  std::vector<int64_t> instance_ids;  // N annotation ids
  int64_t count() const { return static_cast<int64_t>(instance_ids.size()); }
};

/// One image ready for the network, in the frame of its canvas (identity view).
struct Scene {
  at::Tensor image;      // [3, Hi, Wi] float32, normalised, padded; undefined when only the ground truth was asked for
  GroundTruth truth;     // without crowds
  Size valid;            // resized image without padding
  Size original;         // as stored on disk
};

/// Canvas of an image of `original` size when its shorter side is resized to `short_side`.
Size canvas_of(const InputConfig& config, Size original, int64_t short_side);

/// Reads and resizes one image and its instances. `mirror` flips both about the valid width before padding.
/// Errors: those of data::read_image and Dataset::mask, naming file, image and annotation.
Scene load_scene(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side, bool mirror);
/// The image alone; `truth` stays empty.
Scene load_image(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side);
/// The instances alone; `image` stays undefined.
Scene load_truth(const data::Dataset& dataset, int64_t index, const InputConfig& config, int64_t short_side, bool mirror);

/// The instances as seen in a view; those with fewer than `min_pixels` left are dropped.
GroundTruth transform(const GroundTruth& truth, const ViewTransform& view, int64_t min_pixels);

}  // namespace iuq::view
