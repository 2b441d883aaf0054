#include "lib/model/mask2former/points.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include <vector>

#include "lib/base/rng.h"

namespace iuq::model {
namespace {

// One of the four pixels that a point lies between, and its weight: 0 when there is no such pixel.
struct Corner {
  at::Tensor pixel;  // [R, P] int64, row by row; some pixel of the mask where there is none
  at::Tensor share;  // [R, P] float32
};

std::vector<Corner> corners(const at::Tensor& points, int64_t height, int64_t width) {
  struct Side {
    at::Tensor index, share;
  };
  const auto sides = [&](int64_t coordinate, int64_t size) {
    const at::Tensor at = points.select(2, coordinate) * static_cast<double>(size) - 0.5;
    const at::Tensor whole = at.floor();
    const at::Tensor rest = at - whole;
    const at::Tensor low = whole.to(at::kLong), high = low + 1;
    return std::vector<Side>{{low.clamp(0, size - 1), (1 - rest) * (low >= 0)},
                             {high.clamp(0, size - 1), rest * (high < size)}};
  };
  std::vector<Corner> result;
  const std::vector<Side> columns = sides(0, width);
  for (const Side& row : sides(1, height)) {
    for (const Side& column : columns) result.push_back({row.index * width + column.index, row.share * column.share});
  }
  return result;
}

}  // namespace

PointSource random_points(uint64_t draw, const at::Tensor& like) {
  const auto options = like.options().dtype(at::kFloat).requires_grad(false);
  return [draw, options](const PointRequest& request) {
    const auto use = static_cast<uint64_t>(request.use);
    const auto image_and_round = static_cast<uint64_t>(request.image) << 32 | static_cast<uint64_t>(request.round + 1);
    at::Generator generator = at::globalContext().defaultGenerator(options.device()).clone();
    generator.set_current_seed(Rng(draw, "mask2former points", use, image_and_round).next());
    return at::rand({request.rows, request.count, 2}, generator, options);
  };
}

at::Tensor read_maps(const at::Tensor& maps, const at::Tensor& points) {
  const at::Tensor grid = (2 * points - 1).unsqueeze(1);  // [R, 1, P, 2]
  return at::grid_sampler(maps.unsqueeze(1), grid, /*bilinear*/ 0, /*zeros*/ 0, /*align_corners=*/false).flatten(1);
}

at::Tensor read_features(const at::Tensor& map, const at::Tensor& points) {
  const at::Tensor grid = (2 * points - 1).unsqueeze(0);  // [1, S, P, 2]
  const at::Tensor read = at::grid_sampler(map.unsqueeze(0), grid, /*bilinear*/ 0, /*zeros*/ 0, /*align_corners=*/false);
  return read.squeeze(0).transpose(0, 1);  // [D, S, P] -> [S, D, P]
}

at::Tensor read_masks(const at::Tensor& masks, const at::Tensor& instance, const at::Tensor& points) {
  const at::Tensor pixels = masks.flatten();
  const at::Tensor first = (instance * (masks.size(1) * masks.size(2))).unsqueeze(1);  // [R, 1]
  at::Tensor sum;
  for (const Corner& corner : corners(points, masks.size(1), masks.size(2))) {
    const at::Tensor part = corner.share * pixels.take(first + corner.pixel);  // [R, P]
    sum = sum.defined() ? sum.add_(part) : part;
  }
  return sum;
}

at::Tensor read_all_masks(const at::Tensor& masks, const at::Tensor& points) {
  const at::Tensor pixels = masks.flatten(1);
  at::Tensor sum;
  for (const Corner& corner : corners(points, masks.size(1), masks.size(2))) {
    const at::Tensor part = corner.share.flatten() * pixels.index_select(1, corner.pixel.flatten());  // [N, S*P]
    sum = sum.defined() ? sum.add_(part) : part;
  }
  return sum.view({masks.size(0), points.size(0), points.size(1)}).transpose(0, 1);
}

}  // namespace iuq::model
