#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace iuq::model {

/// Which random points are wanted, for one image and one round of predictions.
struct PointRequest {
  enum class Use {
    kMatching,    // where masks and instances are compared to match them; one row for all
    kCandidates,  // per mask, of which the least certain are taken for the loss
    kUniform,     // per mask, taken as they are
  };
  Use use = Use::kMatching;
  int64_t image = 0;  // index in the batch
  int64_t round = 0;  // of Mask2FormerRounds; -1 for masks outside the base loss
  int64_t rows = 1;   // masks, in the order of their queries
  int64_t count = 0;  // points per row
};

/// Gives points [rows, count, 2], x then y in [0, 1) over the canvas, on the device of the masks.
using PointSource = std::function<at::Tensor(const PointRequest&)>;

/// Uniform points, a function of (draw, request) alone on one kind of device: each request is a stream of its own,
/// (draw, "mask2former points", use, image and round), that seeds the device's generator.
PointSource random_points(uint64_t draw, const at::Tensor& like);

/// Reads maps [R, H, W] float32 at points [R, P, 2] bilinearly (align_corners false, zeros outside): [R, P].
at::Tensor read_maps(const at::Tensor& maps, const at::Tensor& points);
/// Reads the same feature map [D, H, W] at points [S, P, 2]: [S, D, P].
at::Tensor read_features(const at::Tensor& map, const at::Tensor& points);
/// Reads masks [N, Hi, Wi] bool in the same way, without copying them to another type: row r reads mask instance[r] at its
/// own points [R, P, 2]. [R, P] float32.
at::Tensor read_masks(const at::Tensor& masks, const at::Tensor& instance, const at::Tensor& points);
/// Reads all masks at the same points [S, P, 2]: [S, N, P] float32.
at::Tensor read_all_masks(const at::Tensor& masks, const at::Tensor& points);

}  // namespace iuq::model
