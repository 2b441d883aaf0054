#include "lib/model/solov2/targets.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/model/common.h"

namespace iuq::model {
namespace {

// x // y as float32 tensors do it; floor(x * grid) differs from it on cell borders.
int64_t floor_divide(float x, float y) {
  const float rest = std::fmod(x, y);
  float quotient = (x - rest) / y;
  if (rest != 0 && (y < 0) != (rest < 0)) quotient -= 1;
  float whole = std::floor(quotient);
  if (quotient - whole > 0.5f) whole += 1;
  return static_cast<int64_t>(whole);
}

struct CellRange {
  int64_t first, last;
};

// Cells along one axis: those of the centre region, at most one to each side of the centre's own.
CellRange cells_of(float centre, float half, float canvas, int64_t grid) {
  const float cell = 1.0f / static_cast<float>(grid);
  const int64_t middle = floor_divide(centre / canvas, cell);
  const int64_t first = std::max<int64_t>(0, floor_divide((centre - half) / canvas, cell));
  const int64_t last = std::min(grid - 1, floor_divide((centre + half) / canvas, cell));
  return {std::max(first, middle - 1), std::min(last, middle + 1)};
}

}  // namespace

Solov2Targets solov2_targets(const view::Instances& truth, const GridConfig& config) {
  const at::Tensor geometry = mask_geometry(truth.masks);
  const auto shape = geometry.accessor<double, 2>();
  const at::Tensor labels_cpu = truth.labels.to(at::kCPU);
  const auto label = labels_cpu.accessor<int64_t, 1>();
  const auto height = static_cast<float>(truth.masks.size(1));
  const auto width = static_cast<float>(truth.masks.size(2));

  Solov2Targets targets;
  for (size_t l = 0; l < config.grids.size(); ++l) {
    const int64_t grid = config.grids[l];
    auto& map = targets.labels.emplace_back(static_cast<size_t>(grid * grid), -1);
    for (int64_t n = 0; n < truth.count(); ++n) {
      const double size = std::sqrt(shape[n][2] * shape[n][3]);
      if (shape[n][4] == 0 || size < static_cast<double>(config.scales[2 * l]) ||
          size > static_cast<double>(config.scales[2 * l + 1])) {
        continue;
      }
      const auto half = [&](int64_t extent) { return static_cast<float>(0.5 * shape[n][extent] * config.sigma); };
      const CellRange columns = cells_of(static_cast<float>(shape[n][0]), half(2), width, grid);
      const CellRange rows = cells_of(static_cast<float>(shape[n][1]), half(3), height, grid);
      for (int64_t row = rows.first; row <= rows.last; ++row) {
        for (int64_t column = columns.first; column <= columns.last; ++column) {
          targets.cells.push_back({static_cast<int64_t>(l), row, column, n});
          map[static_cast<size_t>(row * grid + column)] = label[n];
        }
      }
    }
  }
  return targets;
}

}  // namespace iuq::model
