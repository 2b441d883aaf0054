#include "lib/data/synth_config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/data/shapes.h"

namespace iuq::data {

ConfigFields SynthConfig::fields() {
  return {
      {"images", &images, "training images", Range::closed(1, 200000)},
      {"val_images", &val_images, "validation images", Range::closed(0, 200000)},
      {"height", &height, "height of every image in pixels", Range::closed(32, 4096)},
      {"width", &width, "width of every image in pixels", Range::closed(32, 4096)},
      {"categories", &categories, "kinds of shapes; 0: 6 for coco, 12 for lvis", Range::closed(0, kShapeCount)},
      {"min_instances", &min_instances, "fewest instances per image", Range::closed(1, 100)},
      {"max_instances", &max_instances, "most instances per image", Range::closed(1, 100)},
      {"min_size", &min_size, "least diameter of an instance as a fraction of the image's short side",
       Range::left_open(0, 1)},
      {"max_size", &max_size, "greatest diameter of an instance likewise", Range::left_open(0, 1)},
      {"similarity", &similarity, "chance that an instance wears one of the looks that many scenes share",
       Range::closed(0, 1)},
      {"occlusion", &occlusion, "no instance is hidden by more than this fraction", Range::closed(0, 0.7)},
      {"format", &format, "\"lvis\": long-tailed categories, federated labels", Range::one_of({"coco", "lvis"})},
      {"tail", &tail, "lvis: category k is drawn with weight (k + 1)^-tail", Range::closed(0, 4)},
  };
}

void SynthConfig::check() const {
  check_ranges(*this);
  check_config(max_instances >= min_instances, "synth.max_instances", max_instances, "min_instances..100");
  check_config(max_size >= min_size, "synth.max_size", max_size, "in [min_size, 1]");
}

}  // namespace iuq::data
