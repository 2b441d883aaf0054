#include "lib/model/condinst/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

void CondInstConfig::check() const {
  const auto positive = [](const char* field, int64_t value) { check_config(value >= 1, field, value, ">= 1"); };
  positive("model.channels", channels);
  positive("model.head_convs", head_convs);
  positive("model.groups", groups);
  check_config(channels % groups == 0, "model.groups", groups, "a divisor of channels");
  positive("model.mask_channels", mask_channels);
  positive("model.mask_convs", mask_convs);
  positive("model.embedding", embedding);
  positive("model.dynamic_channels", dynamic_channels);
  check_config(mask_out_stride == 1 || mask_out_stride == 2 || mask_out_stride == 4 || mask_out_stride == 8,
               "model.mask_out_stride", mask_out_stride, "1, 2, 4 or 8");
  const bool ascends = sizes.size() == 4 && sizes[0] >= 1 && std::is_sorted(sizes.begin(), sizes.end());
  check_config(ascends, "model.sizes", sizes, "four ascending sizes from 1");
  check_config(radius > 0, "model.radius", radius, "> 0");
  positive("model.max_positives", max_positives);
  check_config(foreign_coordinates == "own" || foreign_coordinates == "overlay" || foreign_coordinates == "zero",
               "model.foreign_coordinates", foreign_coordinates, "\"own\", \"overlay\" or \"zero\"");
  check_config(score_threshold >= 0 && score_threshold < 1, "model.score_threshold", score_threshold, "in [0, 1)");
  positive("model.level_candidates", level_candidates);
  check_config(nms_iou > 0 && nms_iou <= 1, "model.nms_iou", nms_iou, "in (0, 1]");
  check_config(mask_threshold > 0 && mask_threshold < 1, "model.mask_threshold", mask_threshold, "in (0, 1)");
  positive("model.max_detections", max_detections);
}

void from_json(const nlohmann::json& j, CondInstConfig& c) {
  ConfigReader read(j, "model");
  std::string name;
  read("name", name);
  nn::from_json(read.section("backbone"), c.backbone);
  read("channels", c.channels);
  read("head_convs", c.head_convs);
  read("groups", c.groups);
  read("mask_channels", c.mask_channels);
  read("mask_convs", c.mask_convs);
  read("embedding", c.embedding);
  read("dynamic_channels", c.dynamic_channels);
  read("mask_out_stride", c.mask_out_stride);
  read("sizes", c.sizes);
  read("radius", c.radius);
  read("max_positives", c.max_positives);
  read("semantic_loss", c.semantic_loss);
  read("foreign_coordinates", c.foreign_coordinates);
  read("score_threshold", c.score_threshold);
  read("level_candidates", c.level_candidates);
  read("nms_iou", c.nms_iou);
  read("mask_threshold", c.mask_threshold);
  read("max_detections", c.max_detections);
  read.done();
  c.check();
}

void to_json(nlohmann::json& j, const CondInstConfig& c) {
  j = {{"name", "condinst"},
       {"backbone", c.backbone},
       {"channels", c.channels},
       {"head_convs", c.head_convs},
       {"groups", c.groups},
       {"mask_channels", c.mask_channels},
       {"mask_convs", c.mask_convs},
       {"embedding", c.embedding},
       {"dynamic_channels", c.dynamic_channels},
       {"mask_out_stride", c.mask_out_stride},
       {"sizes", c.sizes},
       {"radius", c.radius},
       {"max_positives", c.max_positives},
       {"semantic_loss", c.semantic_loss},
       {"foreign_coordinates", c.foreign_coordinates},
       {"score_threshold", c.score_threshold},
       {"level_candidates", c.level_candidates},
       {"nms_iou", c.nms_iou},
       {"mask_threshold", c.mask_threshold},
       {"max_detections", c.max_detections}};
}

}  // namespace iuq::model
