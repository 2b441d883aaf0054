#pragma once

#include <cstdint>
#include <vector>

#include "lib/eval/cells.h"
#include "lib/eval/config.h"

namespace iuq::eval {

/// Everything one IoU type of an evaluation works on.
struct Problem {
  const GroundTruth& truth;
  const Detections& detections;
  const Cells& cells;
  const EvalConfig& config;
  IouType type;
};

using ThresholdBits = uint16_t;  // bit t belongs to IoU threshold t
static_assert(kMaxThresholds <= 16);

/// What became of the detections: a row each, cell by cell, by falling score within a cell.
struct MatchTable {
  std::vector<double> scores;            // [rows]
  std::vector<ThresholdBits> matched;    // [rows, A] a true positive unless ignored
  std::vector<ThresholdBits> ignored;    // [rows, A] counts neither way
  std::vector<uint32_t> counted;         // [cells, A] annotations that count (not ignored)
};

/// Matches greedily by score in each cell, for each area range and threshold, as the reference does.
MatchTable match(const Problem& problem);

}  // namespace iuq::eval
