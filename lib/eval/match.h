#pragma once

#include <cstdint>
#include <vector>

#include "lib/eval/image_categories.h"
#include "lib/eval/config.h"

namespace iuq::eval {

/// Everything one IoU type of an evaluation works on.
struct EvalInput {
  const GroundTruth& truth;
  const Detections& detections;
  const ImageCategories& pairs;
  const EvalConfig& config;
  IouType type;
};

using ThresholdBits = uint16_t;  // bit t belongs to IoU threshold t
static_assert(kMaxThresholds <= 16);

/// What became of the detections: a row each, pair by pair, by falling score within a pair.
struct MatchTable {
  std::vector<double> scores;            // [rows]
  std::vector<ThresholdBits> matched;    // [rows, A] a true positive unless ignored
  std::vector<ThresholdBits> ignored;    // [rows, A] counts neither way
  std::vector<uint32_t> counted;         // [pairs, A] annotations that count (not ignored)
};

/// Matches greedily by score in each pair, for each area range and threshold, as the reference does.
MatchTable match(const EvalInput& input);

}  // namespace iuq::eval
