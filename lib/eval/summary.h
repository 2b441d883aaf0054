#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/eval/accumulate.h"

namespace iuq::eval {

struct Stat {
  std::string name;   // "AP", "AP50", ... as in JSON
  std::string label;  // the line people know, up to the value
  double value = -1;  // 0 .. 1, or -1 where nothing counts
};

struct CategoryStats {
  int64_t id = 0;            // -1 for all categories pooled
  std::string name;
  int64_t annotations = 0;   // that count, all sizes
  std::vector<Stat> stats;   // AP AP50 AP75 APs APm APl AR ARs ARm ARl, at the largest cut
};

struct Summary {
  IouType type = IouType::kSegm;
  std::vector<Stat> stats;                 // 12 (COCO) or 13 (LVIS), in the order of the reference
  double ap_at_largest_cut = -1;           // differs from AP where a COCO run has other cuts than 1, 10, 100
  std::vector<CategoryStats> categories;
  std::vector<std::string> empty_areas;    // size ranges without an annotation that counts
};

Summary summarize(const EvalInput& input, const MatchTable& table, const Curves& curves);

/// The mean as numpy 1.24 to 2.2 computes it: summed pairwise in blocks of 8192, so that even the last bit agrees (since
/// numpy 2.3 the reference itself sums without blocks and can differ from its older self there). -1 of nothing.
double numpy_mean(const std::vector<double>& values);

}  // namespace iuq::eval
