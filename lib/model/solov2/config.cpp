#include "lib/model/solov2/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

ConfigFields GridConfig::with_grid_fields(const char* name, const ConfigFields& own) {
  ConfigFields fields = {
      {"name", name, "which segmenter; another has other fields"},
      {"backbone", inner_section(backbone), "the network that makes the feature maps"},
      {"channels", &channels, "channels of the FPN", Range::at_least(1)},
      {"mask_channels", &mask_channels, "channels inside the mask branch", Range::at_least(1)},
      {"embedding", &embedding, "D, width of kernels and mask features", Range::at_least(1)},
      {"groups", &groups, "groups of every group norm", Range::at_least(1)},
      {"grids", &grids, "cells per side, finest level first", Range::closed(1, 200).items(5)},
      {"scales", &scales, "lower and upper sqrt(width * height) of the instances of each level, in pixels", Range().items(10)},
      {"sigma", &sigma, "centre region as a share of the box", Range::left_open(0, 1)},
      {"mask_weight", &mask_weight, "weight of the dice loss", Range::at_least(0)},
      {"score_threshold", &score_threshold, "cells with a lower score are dropped", Range::right_open(0, 1)},
      {"mask_threshold", &mask_threshold, "probability from which on a pixel is foreground", Range::open(0, 1)},
      {"nms_candidates", &nms_candidates, "masks that enter matrix NMS", Range::at_least(1)},
      {"nms_sigma", &nms_sigma, "sigma of the Gaussian decay in matrix NMS", Range::above(0)},
      {"update_threshold", &update_threshold, "decayed scores below are dropped", Range::right_open(0, 1)},
      {"max_detections", &max_detections, "detections per image, at most", Range::at_least(1)},
  };
  fields.insert(fields.end(), own.begin(), own.end());
  return fields;
}

void GridConfig::check_grid() const {
  for (const int64_t width : {mask_channels, embedding}) {
    check_config(width % groups == 0, "model.groups", groups, "a divisor of mask_channels and embedding");
  }
}

ConfigFields Solov2Config::fields() {
  return with_grid_fields("solov2", {
      {"head_channels", &head_channels, "channels of the category and kernel towers, a multiple of groups", Range::at_least(1)},
      {"head_convs", &head_convs, "layers in each tower", Range::at_least(1)},
  });
}

void Solov2Config::check() const {
  check_ranges(*this);
  check_grid();
  check_config(head_channels % groups == 0, "model.head_channels", head_channels, "a multiple of model.groups");
}

}  // namespace iuq::model
