#include "lib/model/condinst/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

ConfigFields CondInstConfig::fields() {
  return {
      {"name", "condinst", "which segmenter; another has other fields"},
      {"backbone", inner_section(backbone), "the network that makes the feature maps"},
      {"channels", &channels, "channels of the FPN and of the towers of the box head", Range::at_least(1)},
      {"head_convs", &head_convs, "layers in each tower of the box head", Range::at_least(1)},
      {"groups", &groups, "groups of the towers' group norms, a divisor of channels", Range::at_least(1)},
      {"mask_channels", &mask_channels, "channels inside the mask branch", Range::at_least(1)},
      {"mask_convs", &mask_convs, "layers of the mask branch's tower", Range::at_least(1)},
      {"embedding", &embedding, "D, width of the mask features", Range::at_least(1)},
      {"dynamic_channels", &dynamic_channels, "hidden width of the three dynamic layers", Range::at_least(1)},
      {"mask_out_stride", &mask_out_stride,
       "stride of the mask loss and of predicted masks: 1, 2, 4 or 8 input pixels per cell", Range::closed(1, 8)},
      {"sizes", &sizes,
       "largest box side distance of levels 0..3, ascending, and what coordinates are divided by, in input pixels; level 4 has "
       "twice the last",
       Range::at_least(1).items(4)},
      {"radius", &radius, "half side of the centre region, in strides of the level", Range::above(0)},
      {"max_positives", &max_positives, "locations per batch that become queries, drawn at random", Range::at_least(1)},
      {"semantic_loss", &semantic_loss, "auxiliary loss on the finest level, with layers that only training uses"},
      {"foreign_coordinates", &foreign_coordinates,
       "where pixels of other images lie for a query: \"overlay\" as if in its own image, \"own\" to their own instance, "
       "\"zero\" at the query",
       Range::one_of({"own", "overlay", "zero"})},
      {"score_threshold", &score_threshold, "detections whose class score times centerness is below are dropped", Range::right_open(0, 1)},
      {"level_candidates", &level_candidates, "boxes per level that enter suppression", Range::at_least(1)},
      {"nms_iou", &nms_iou, "boxes of one class that overlap more are suppressed", Range::left_open(0, 1)},
      {"mask_threshold", &mask_threshold, "probability from which on a pixel is foreground", Range::open(0, 1)},
      {"max_detections", &max_detections, "detections per image, at most", Range::at_least(1)},
  };
}

void CondInstConfig::check() const {
  check_ranges(*this);
  check_config(channels % groups == 0, "model.groups", groups, "a divisor of channels");
  const bool divides = 8 % mask_out_stride == 0;
  check_config(divides, "model.mask_out_stride", mask_out_stride, "1, 2, 4 or 8");
  check_config(std::is_sorted(sizes.begin(), sizes.end()), "model.sizes", sizes, "four ascending sizes from 1");
}

}  // namespace iuq::model
