#pragma once

#include <cstdint>
#include <vector>

#include "lib/infer/predictor.h"

namespace iuq::infer {

/// One list of what was found in two looks at an image, both best first and in its original size. All are taken by
/// descending score, at equal scores those of `plain` first, each list in its order; one is dropped when its mask overlaps one
/// already taken, of its category, by an IoU above `max_iou`. Scores stay as they are. At most `max_detections`.
std::vector<Detection> merge_detections(std::vector<Detection> plain, std::vector<Detection> other, double max_iou,
                                        int64_t max_detections);

}  // namespace iuq::infer
