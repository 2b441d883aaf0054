#pragma once

#include <cmath>

#include "lib/base/rng.h"

namespace iuq::test {

/// The next number of mean 0 and deviation 1 (Box-Muller, two uniform numbers each).
inline double normal(Rng& rng) {
  const double u = 1.0 - rng.uniform();  // (0, 1]
  return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * rng.uniform());
}

}  // namespace iuq::test
