#include "lib/eval/mask_iou.h"

#include <algorithm>

namespace iuq::eval {

double MaskIou::with(const Annotation& annotation) {
  // Most pairs are told apart by their columns; only then is it worth knowing the rows.
  const mask::Box& box = annotation.mask_box;
  const double x = detection_->columns[0], w = detection_->columns[1];
  if (std::min(x + w, box[0] + box[2]) <= std::max(x, box[0])) return 0;
  if (!decoded_) decode();
  if (!(mask::iou(box_, box, annotation.crowd) > 0)) return 0;
  return mask::iou_of_runs(mask_, foreground_, annotation.mask, annotation.foreground, annotation.crowd);
}

void MaskIou::decode() {
  mask::counts_from_string(detection_->counts, mask_.counts);
  mask_.height = detection_->height;
  mask_.width = detection_->width;
  box_ = mask::to_box(mask_);
  foreground_ = mask::Foreground(mask_.counts);
  decoded_ = true;
}

}  // namespace iuq::eval
