#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lib/model/solov2/config.h"
#include "lib/view/sample.h"

namespace iuq::model {

/// One (cell, mask) pair: the kernel of this cell is asked for the mask of this instance.
struct Solov2Cell {
  int64_t level, row, column, instance;
};

struct Solov2Targets {
  std::vector<Solov2Cell> cells;          // level by level, instance by instance, row by row; a shared cell comes twice
  std::vector<std::vector<int64_t>> labels;  // per level [S*S]: class, or -1 for background; the later instance wins
};

/// Which grid cells of one image answer for which instance. Canvas sides multiples of 4.
/// An image without instances has only background. Source: REFERENCE.md 2; adet:adet/modeling/solov2/solov2.py.
Solov2Targets solov2_targets(const view::Instances& truth, const GridConfig& config);

}  // namespace iuq::model
