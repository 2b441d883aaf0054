#pragma once

#include "lib/eval/detections.h"
#include "lib/eval/ground_truth.h"
#include "lib/mask/rle.h"

namespace iuq::eval {

/// Mask IoU of one detection after the other with the annotations of its image. A mask is decoded when the first annotation
/// shares a column with it, into storage that is kept.
class MaskIou {
 public:
  void begin(const Detection& detection) { detection_ = &detection, decoded_ = false; }
  /// mask::iou(detection, annotation, annotation.crowd).
  double with(const Annotation& annotation);
  /// The detection's, once an IoU with it was not 0.
  const mask::Rle& mask() const { return mask_; }

 private:
  void decode();

  const Detection* detection_ = nullptr;
  bool decoded_ = false;
  mask::Rle mask_;
  mask::Box box_{};
  mask::Foreground foreground_;
};

}  // namespace iuq::eval
