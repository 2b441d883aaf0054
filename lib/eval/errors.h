#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/eval/match.h"

namespace iuq::eval {

struct ErrorShare {
  std::string name;
  int64_t count = 0;  // detections, or annotations where the error is one of missing
  double gain = 0;    // what AP50 rises by when these alone are fixed, 0 .. 1
};

struct ErrorBreakdown {
  IouType type = IouType::kSegm;
  double ap50 = -1;                // 0 .. 1, at the largest cut; -1 where nothing counts, and then all gains are 0
  std::vector<ErrorShare> errors;  // classification, localisation, both, duplicate, background, missed
  ErrorShare false_positives;      // ranked last, all of them
  ErrorShare false_negatives;      // struck from the annotations, all of them
};

/// What costs the AP at IoU .5, in the manner of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object
/// Detection Errors", ECCV 2020). A detection that counts and is matched to nothing is, whichever is first true,
///   localisation    if the best IoU with an annotation of its category is .1 .. .5,
///   classification  if one of another category is met at .5 or more,
///   duplicate       if one of its category is met at .5 or more that a better one took,
///   background      if nothing is overlapped by more than .1,
///   both            otherwise: neither the place nor the category is right.
/// An annotation that nothing found is missed, unless an error of the first two kinds would have found it. The fixes:
/// the best-scored of the classification and localisation errors at an annotation that is not found becomes its true
/// positive and the others vanish; duplicate, background and both vanish; missed annotations are not asked for.
///
/// A detection that counts neither way (in a crowd) is no error, but may be the best at an annotation, and so its fix.
///
/// Numbers agree with tidecv 1.0.1 but for these, where the protocol of the evaluation at hand is kept, so that `ap50`
/// is the AP50 of the summary:
/// - the cut is the protocol's (COCO: by image and category; tidecv: 100 by image);
/// - of equal IoUs the last annotation is matched, not the first; a crowd absorbs at exactly .5, not above it; a crowd
///   matches only as the protocol has it, so one of the ignored annotations of LVIS absorbs one detection;
/// - by the LVIS protocol detections of a category that the image was not searched for are not looked at (tidecv: they
///   can be the fix of a classification error);
/// - counts are of detections that count (tidecv: of the others, too);
/// - a category without annotations is not in the mean (tidecv: 0, if it has detections). One that a fix leaves without
///   annotations counts as tidecv has it: 0 while detections are left, else not in the mean;
/// - of detections with equal scores the order is always that of images (tidecv: errors first after a fix);
/// - recalls are numpy's linspace, not i / 100, which shows where a recall is a hundredth exactly (up to .001 on small
///   data); gains are 0 .. 1, not percent.
/// An annotation with id 0 can be found here, which the reference's AP50 does not allow (there is a warning).
///
/// Takes the images one by one on config.threads threads, whose number changes nothing; keeps some 24 bytes a
/// detection. Error(kUsage) for boundary IoU.
ErrorBreakdown break_down_errors(const EvalInput& input);

/// A line for each kind: count, gain.
std::string to_table(const ErrorBreakdown& breakdown);
/// {"iou_type", "ap50", "errors": [{"name", "count", "gain"}], "false_positives": {...}, "false_negatives": {...}}
nlohmann::json to_json(const ErrorBreakdown& breakdown);

}  // namespace iuq::eval
