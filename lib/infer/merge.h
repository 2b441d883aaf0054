#pragma once

#include <cstdint>
#include <vector>

#include "lib/infer/predictor.h"

namespace iuq::infer {

/// Merges what was found in an image and in its mirror image, two lists with the best first and masks in the image's original size.
/// Detections are taken by descending score, at equal scores those of `plain` first, each list in its order. One is dropped when
/// its mask has an IoU above `max_iou` with that of a detection of its category already taken. Scores stay as they are. At most
/// `max_detections` are returned.
std::vector<Detection> merge_detections(std::vector<Detection> plain, std::vector<Detection> other, double max_iou,
                                        int64_t max_detections);

}  // namespace iuq::infer
