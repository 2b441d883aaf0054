#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "lib/base/config_fields.h"
#include "lib/base/rng.h"

namespace iuq::view {

struct Size {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const Size&) const = default;
};

/// `size` rounded up to whole multiples of `divisor`.
Size round_up(Size size, int64_t divisor);

/// Where output index j of a feature map with stride s sits in the image.
///   kStrided: on pixel s*j (7x7 s2 p3, 3x3 s2 p1 and pooling: ResNet). Needs the aligned flip x -> W - x.
///   kPatch:   on s*j + (s-1)/2, the middle of a patch (Swin). Needs the plain flip x -> W - 1 - x.
enum class Alignment { kStrided, kPatch };

/// view index = scale * source index + offset, along one axis of an image.
struct AxisMap {
  double scale = 1;
  double offset = 0;
};

/// A geometric transformation g of an image as a value: flips, crops and resizes along the axes. Drawn once, stored
/// with the features, and applied alike to image, masks and feature maps (GEOMETRY.md 1 and 2).
/// Pixel (0,0) is the centre of the top-left pixel, x right, y down.
struct ViewTransform {
  AxisMap x;
  AxisMap y;
  Size size;  // canvas of the view in pixels

  static ViewTransform identity(Size canvas);
  /// Mirrors left and right on a canvas whose width is a multiple of the largest stride. With kStrided the content
  /// moves one column right of the plain flip; column 0 then shows nothing and is not valid.
  static ViewTransform flip_x(Size canvas, Alignment alignment);
  static ViewTransform flip_y(Size canvas, Alignment alignment);
  /// Moves the source point (left, top) to the canvas origin and enlarges by `scale`. What leaves the canvas is cropped,
  /// what nothing moves to stays empty. Offsets should be multiples of the largest stride; they may be negative.
  static ViewTransform crop(Size canvas, int64_t left, int64_t top, double scale);

  ViewTransform then(const ViewTransform& next) const;  // first this, then next
  /// Back to a canvas of size `source`.
  ViewTransform inverse(Size source) const;
  bool is_identity() const;

  /// image [..., H, W] float -> [..., size]; bilinear, 0 where the source shows nothing.
  at::Tensor apply_image(const at::Tensor& image) const;
  /// masks [..., H, W] bool or uint8 -> same dtype; nearest, 0 where the source shows nothing.
  at::Tensor apply_masks(const at::Tensor& masks) const;
  /// features [..., H/s, W/s] float, s = stride -> [..., size/s]; bilinear on the grid of `alignment`, 0 outside.
  /// Exact (a permutation of columns and rows) for flips and for crops on multiples of the stride without resize.
  at::Tensor apply_features(const at::Tensor& features, int64_t stride, Alignment alignment) const;
  /// [size/s] bool: the cells of the view whose value came from inside a source canvas of size `source`.
  at::Tensor valid(Size source, int64_t stride, Alignment alignment) const;
};

void to_json(nlohmann::json& j, const ViewTransform& t);    // [sx, ox, sy, oy, height, width]
void from_json(const nlohmann::json& j, ViewTransform& t);  // Error(kBadData)

/// Section "view" of the config: which g are drawn. fields() says what each field means.
struct ViewConfig {
  double flip = 0.5;
  double flip_vertical = 0;
  double both = 0.25;
  double min_area = 0.5;
  bool resize = false;
  int64_t grid = 32;

  static constexpr const char* kSection = "view";
  ConfigFields fields();
  void check() const;
};

/// Draws one g for a canvas. Never the identity unless the canvas has no room for anything else and flip is 0.
ViewTransform draw_view(const ViewConfig& config, Size canvas, Alignment alignment, Rng& rng);

}  // namespace iuq::view
