#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/eval/match.h"

namespace iuq::eval {

/// What was annotated against what was detected there.
struct Confusion {
  struct Name {
    int64_t id = 0;  // -1 for all categories pooled, and for nothing, which is the last
    std::string name;
  };

  IouType type = IouType::kSegm;
  double iou = 0, min_score = 0;
  std::vector<Name> names;      // [K + 1]
  std::vector<int64_t> counts;  // [K + 1, K + 1] rows: annotated, columns: detected; nothing with nothing is 0

  size_t nothing() const { return names.size() - 1; }
  int64_t at(size_t truth, size_t detected) const { return counts[truth * names.size() + detected]; }
};

/// In each image the detections of at least `min_score` take, best first, the free annotation of whatever category that
/// they overlap best, if by `iou` or more; of equal ones that of their own category, else the first. What is left over
/// is annotated but not detected (last column) or detected but not annotated (last row). A detection that finds no free
/// annotation but overlaps a crowd or an ignored one by `iou` or more, of any category, counts nowhere.
///
/// As in the evaluation, detections beyond the largest cut do not count, and by the LVIS protocol neither do those of a
/// category that the image was not searched for; one of a category that is not annotated in full counts only where it
/// finds an annotation.
///
/// Takes the images one by one on config.threads threads, whose number changes nothing. Error(kUsage) for boundary IoU,
/// an `iou` out of (0, 1], or a `min_score` that is no number.
Confusion count_confusions(const EvalInput& input, double iou, double min_score);

/// The totals, then the `most` most frequent confusions of two categories; of equal counts the lower ids first.
std::string to_table(const Confusion& confusion, size_t most = 20);
/// {"iou_type", "iou", "min_score", "counts": [{"truth", "detected", "count"}]}: category ids, null for nothing; the
/// zeros are left out.
nlohmann::json to_json(const Confusion& confusion);

}  // namespace iuq::eval
