#include "lib/model/solov2/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

void Solov2Config::check() const {
  const auto positive = [](const char* field, int64_t value) { check_config(value >= 1, field, value, ">= 1"); };
  positive("model.channels", channels);
  positive("model.head_channels", head_channels);
  positive("model.head_convs", head_convs);
  positive("model.mask_channels", mask_channels);
  positive("model.embedding", embedding);
  positive("model.groups", groups);
  for (const int64_t width : {head_channels, mask_channels, embedding}) {
    check_config(width % groups == 0, "model.groups", groups, "a divisor of head_channels, mask_channels and embedding");
  }
  check_config(grids.size() == 5, "model.grids", grids, "five grid sizes");
  for (const int64_t grid : grids) check_config(grid >= 1 && grid <= 200, "model.grids", grids, "sizes in 1..200");
  check_config(scales.size() == 10, "model.scales", scales, "five pairs of a lower and an upper size");
  check_config(sigma > 0 && sigma <= 1, "model.sigma", sigma, "in (0, 1]");
  check_config(mask_weight >= 0, "model.mask_weight", mask_weight, ">= 0");
  check_config(score_threshold >= 0 && score_threshold < 1, "model.score_threshold", score_threshold, "in [0, 1)");
  check_config(mask_threshold > 0 && mask_threshold < 1, "model.mask_threshold", mask_threshold, "in (0, 1)");
  check_config(nms_sigma > 0, "model.nms_sigma", nms_sigma, "> 0");
  check_config(update_threshold >= 0 && update_threshold < 1, "model.update_threshold", update_threshold, "in [0, 1)");
  positive("model.nms_candidates", nms_candidates);
  positive("model.max_detections", max_detections);
}

void from_json(const nlohmann::json& j, Solov2Config& c) {
  ConfigReader read(j, "model");
  std::string name;
  read("name", name);
  nn::from_json(read.section("backbone"), c.backbone);
  read("channels", c.channels);
  read("head_channels", c.head_channels);
  read("head_convs", c.head_convs);
  read("mask_channels", c.mask_channels);
  read("embedding", c.embedding);
  read("groups", c.groups);
  read("grids", c.grids);
  read("scales", c.scales);
  read("sigma", c.sigma);
  read("mask_weight", c.mask_weight);
  read("score_threshold", c.score_threshold);
  read("mask_threshold", c.mask_threshold);
  read("nms_candidates", c.nms_candidates);
  read("nms_sigma", c.nms_sigma);
  read("update_threshold", c.update_threshold);
  read("max_detections", c.max_detections);
  read.done();
  c.check();
}

void to_json(nlohmann::json& j, const Solov2Config& c) {
  j = {{"name", "solov2"},
       {"backbone", c.backbone},
       {"channels", c.channels},
       {"head_channels", c.head_channels},
       {"head_convs", c.head_convs},
       {"mask_channels", c.mask_channels},
       {"embedding", c.embedding},
       {"groups", c.groups},
       {"grids", c.grids},
       {"scales", c.scales},
       {"sigma", c.sigma},
       {"mask_weight", c.mask_weight},
       {"score_threshold", c.score_threshold},
       {"mask_threshold", c.mask_threshold},
       {"nms_candidates", c.nms_candidates},
       {"nms_sigma", c.nms_sigma},
       {"update_threshold", c.update_threshold},
       {"max_detections", c.max_detections}};
}

}  // namespace iuq::model
