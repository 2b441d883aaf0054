#pragma once

#include <vector>

#include "lib/eval/match.h"

namespace iuq::eval {

/// Precision over recall for every threshold, category, area range and cut; -1 where a category has no annotation that
/// counts. Shapes are the reference's, in C order. LVIS has M = 1.
struct Curves {
  size_t thresholds = 0;          // T
  size_t categories = 0;          // K
  size_t cuts = 0;                // M
  std::vector<double> precision;  // [T, R, K, A, M]
  std::vector<double> recall;     // [T, K, A, M]
  std::vector<double> scores;     // [T, R, K, A, M] the score at which that recall is reached

  size_t precision_at(size_t t, size_t r, size_t k, size_t a, size_t m) const {
    return (((t * kRecalls + r) * categories + k) * kAreas + a) * cuts + m;
  }
  size_t recall_at(size_t t, size_t k, size_t a, size_t m) const {
    return ((t * categories + k) * kAreas + a) * cuts + m;
  }
};

Curves accumulate(const EvalInput& input, const MatchTable& table);

}  // namespace iuq::eval
