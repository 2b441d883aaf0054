#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/eval/config.h"

namespace iuq::eval {

/// One number of two results lists. Values are 0 .. 1, -1 where nothing counts; then there is no difference either.
struct ComparedStat {
  std::string name;              // AP AP50 AP75 APs APm APl, at the largest cut
  double first = -1, second = -1;
  double difference = 0;         // second - first
  double low = 0, high = 0;      // of the difference: 2.5 % and 97.5 % of the resamples, as numpy's percentile has them
  double not_better = 1;         // share of the resamples in which the second is not better, 0 .. 1
  int resamples = 0;             // in which the number is defined; where 0, low, high and not_better say nothing
};

struct ComparedType {
  IouType type = IouType::kSegm;
  std::vector<ComparedStat> stats;
};

struct Comparison {
  int resamples = 0;
  uint64_t seed = 0;
  int64_t images = 0;
  std::vector<ComparedType> types;  // in the order of the config
};

/// Whether the second results list is better than the first, or the images were kind to it: a paired bootstrap with
/// percentile intervals (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993). Each resample draws as many
/// images as there are with replacement, the same for both lists, and takes every number anew from matches that are made
/// once. The draw depends on `seed` and the number of the resample alone, and nothing on config.threads.
///
/// With every image once the numbers are those of evaluate(), but for the order of sums (1e-12). One of the three files
/// may be "-", stdin. Errors: those of evaluate(), and kUsage unless `resamples` is 1 .. 10^7.
Comparison compare(const std::string& annotations, const std::string& first, const std::string& second,
                   const EvalConfig& config, int resamples, uint64_t seed);

/// For each IoU type a line for each number: first, second, difference, its interval, the share.
std::string to_table(const Comparison& comparison);
/// {"resamples", "seed", "images", "types": [{"iou_type", "stats": [{"name", "first", "second", "difference", "low",
/// "high", "not_better", "resamples"}]}]}: null where there is no difference.
nlohmann::json to_json(const Comparison& comparison);

}  // namespace iuq::eval
