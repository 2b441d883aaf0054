#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/view/input.h"
#include "lib/view/transform.h"

namespace iuq::data {
class Dataset;
}

namespace iuq::view {

/// The instances of one image in the frame of one view.
struct Instances {
  int64_t image_id = 0;
  at::Tensor labels;                  // [N] int64, category index 0..C-1
  at::Tensor masks;                   // [N, Hi, Wi] bool on the view's canvas
  std::vector<int64_t> instance_ids;  // N annotation ids
  int64_t count() const { return static_cast<int64_t>(instance_ids.size()); }
};

/// One image ready for the network, in the frame of its canvas (identity view).
struct Sample {
  at::Tensor image;      // [3, Hi, Wi] float32, normalised, padded; undefined when only the ground truth was asked for
  Instances truth;     // without crowds
  Size valid;            // the part of the canvas that shows the image, from the top left corner
  Size original;         // as stored on disk
};

/// How an image gets onto its canvas: resized as a whole, perhaps mirrored, then cropped, or padded right and below.
struct Placement {
  Size resized;
  bool mirror = false;               // about the resized width
  int64_t top = 0, left = 0;         // first row and column of the resized image that are on the canvas
  Size canvas;
  bool smooth = false;               // data::resize_smooth instead of data::resize
  std::optional<double> pad_value;   // of view::to_input
  Size valid() const;                // the part of the canvas that shows the image
};
/// Resized to a shorter side, on the smallest canvas.
Placement plain_placement(const InputConfig& config, Size original, int64_t short_side, bool mirror);
/// One random draw by section "input.lsj". The scale is that of Mask2Former's ResizeScale, the position of the crop is uniform
/// (GEOMETRY.md 6).
Placement draw_jitter(const InputConfig& config, Size original, bool mirror, Rng& rng);
/// From the image at test size, as the cache and mining see it, to the canvas.
ViewTransform from_test_size(const Placement& placement, const InputConfig& config, Size original);

/// Canvas of an image of `original` size when its shorter side is resized to `short_side`.
Size canvas_of(const InputConfig& config, Size original, int64_t short_side);

/// Reads and resizes one image and its instances. `mirror` flips both about the valid width before padding.
/// Errors: those of data::read_image and Dataset::mask, naming file, image and annotation.
Sample load_sample(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side, bool mirror);
/// The same with a given placement. Instances of which nothing is left on the canvas are dropped.
Sample load_sample(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 const Placement& placement);
/// The image alone; `truth` stays empty.
Sample load_image(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side);
/// The instances alone; `image` stays undefined.
Sample load_truth(const data::Dataset& dataset, int64_t index, const InputConfig& config, int64_t short_side, bool mirror);

/// The instances as seen in a view; those with fewer than `min_pixels` left are dropped.
Instances transform(const Instances& truth, const ViewTransform& view, int64_t min_pixels);

}  // namespace iuq::view
