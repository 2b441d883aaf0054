#include "lib/model/condinst/targets.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/model/common.h"

namespace iuq::model {
namespace {

// The box (its right and bottom sides lie one past the last pixel) and the centroid of a mask, in float32 as the
// reference has them.
struct Instance {
  float left, top, right, bottom, x, y, area;
};

// Indices of the map's axis whose locations may lie in (low, high).
struct CellRange {
  int64_t first, last;
};
CellRange indices(float low, float high, int64_t stride, int64_t count) {
  const auto index = [stride](float at) {
    return static_cast<int64_t>(std::floor((at - static_cast<float>(stride / 2)) / static_cast<float>(stride)));
  };
  return {std::max<int64_t>(0, index(low)), std::min(count - 1, index(high) + 1)};
}

struct Level {
  int64_t stride;
  view::Size size;
  float least, most;  // of the largest of a location's four distances
};

// Gives `instance` number n the locations it wins: `best` holds the area of the box each location has so far.
void claim(const Instance& box, int64_t n, const Level& level, double radius, std::vector<float>& best,
           std::vector<CondInstPositive>& slots) {
  const auto half = static_cast<float>(static_cast<double>(level.stride) * radius);
  const float left = std::max(box.x - half, box.left), right = std::min(box.x + half, box.right);
  const float top = std::max(box.y - half, box.top), bottom = std::min(box.y + half, box.bottom);
  const CellRange rows = indices(top, bottom, level.stride, level.size.height);
  const CellRange columns = indices(left, right, level.stride, level.size.width);
  for (int64_t row = rows.first; row <= rows.last; ++row) {
    const auto y = static_cast<float>(level.stride * row + level.stride / 2);
    for (int64_t column = columns.first; column <= columns.last; ++column) {
      const auto x = static_cast<float>(level.stride * column + level.stride / 2);
      if (!(x > left && x < right && y > top && y < bottom)) continue;
      const float sides[4] = {x - box.left, y - box.top, box.right - x, box.bottom - y};
      const float longest = *std::max_element(sides, sides + 4);
      const auto slot = static_cast<size_t>(row * level.size.width + column);
      if (longest < level.least || longest > level.most || box.area >= best[slot]) continue;
      best[slot] = box.area;
      CondInstPositive& positive = slots[slot];
      positive.row = row;
      positive.column = column;
      positive.instance = n;
      for (size_t i = 0; i < 4; ++i) positive.distances[i] = sides[i] / static_cast<float>(level.stride);
    }
  }
}

}  // namespace

std::vector<CondInstPositive> condinst_targets(const view::Instances& truth, const std::vector<view::Size>& levels,
                                               const CondInstConfig& config) {
  constexpr float kNone = 1e8f;  // larger than any box
  const at::Tensor geometry = mask_geometry(truth.masks);
  const auto shape = geometry.accessor<double, 2>();
  std::vector<CondInstPositive> positives;
  for (size_t l = 0; l < levels.size(); ++l) {
    const Level level{int64_t{8} << l, levels[l], l == 0 ? -1 : static_cast<float>(config.sizes[l - 1]),
                      l < config.sizes.size() ? static_cast<float>(config.sizes[l]) : kNone};
    const auto cells = static_cast<size_t>(level.size.height * level.size.width);
    std::vector<float> best(cells, kNone);
    std::vector<CondInstPositive> slots(cells);
    for (int64_t n = 0; n < truth.count(); ++n) {
      if (shape[n][4] == 0) continue;
      const auto value = [&](int64_t field) { return static_cast<float>(shape[n][field]); };
      const Instance box{value(5), value(6), value(5) + value(2), value(6) + value(3), value(0), value(1),
                         value(2) * value(3)};
      claim(box, n, level, config.radius, best, slots);
    }
    for (size_t i = 0; i < cells; ++i) {
      if (best[i] >= kNone) continue;
      slots[i].level = static_cast<int64_t>(l);
      positives.push_back(slots[i]);
    }
  }
  return positives;
}

}  // namespace iuq::model
