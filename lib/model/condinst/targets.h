#pragma once

#include <cstdint>
#include <vector>

#include "lib/model/condinst/config.h"
#include "lib/view/sample.h"

namespace iuq::model {

/// A location that answers for an instance.
struct CondInstPositive {
  int64_t level, row, column, instance;
  float distances[4];  // to the left, top, right and bottom side of the instance's box, in strides of the level
};

/// Which locations of one image answer for which instance, level by level, row by row. `levels`: sizes of the maps, level
/// l of stride 8 << l. A location lies on pixel stride * index + stride / 2. It answers for the instance with the
/// smallest box among those in whose centre region it lies and whose box fits the level. An empty mask has none.
/// Source: REFERENCE.md 2; adet:adet/modeling/fcos/fcos_outputs.py.
std::vector<CondInstPositive> condinst_targets(const view::Instances& truth, const std::vector<view::Size>& levels,
                                               const CondInstConfig& config);

}  // namespace iuq::model
