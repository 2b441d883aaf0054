#include "lib/model/solov2/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

void GridConfig::check_grid() const {
  const auto positive = [](const char* field, int64_t value) { check_config(value >= 1, field, value, ">= 1"); };
  positive("model.channels", channels);
  positive("model.mask_channels", mask_channels);
  positive("model.embedding", embedding);
  positive("model.groups", groups);
  for (const int64_t width : {mask_channels, embedding}) {
    check_config(width % groups == 0, "model.groups", groups, "a divisor of mask_channels and embedding");
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

void GridConfig::read_grid(ConfigReader& read) {
  std::string name;
  read("name", name);
  nn::from_json(read.section("backbone"), backbone);
  read("channels", channels);
  read("mask_channels", mask_channels);
  read("embedding", embedding);
  read("groups", groups);
  read("grids", grids);
  read("scales", scales);
  read("sigma", sigma);
  read("mask_weight", mask_weight);
  read("score_threshold", score_threshold);
  read("mask_threshold", mask_threshold);
  read("nms_candidates", nms_candidates);
  read("nms_sigma", nms_sigma);
  read("update_threshold", update_threshold);
  read("max_detections", max_detections);
}

nlohmann::json GridConfig::grid_json(const char* name) const {
  return {{"name", name},
          {"backbone", backbone},
          {"channels", channels},
          {"mask_channels", mask_channels},
          {"embedding", embedding},
          {"groups", groups},
          {"grids", grids},
          {"scales", scales},
          {"sigma", sigma},
          {"mask_weight", mask_weight},
          {"score_threshold", score_threshold},
          {"mask_threshold", mask_threshold},
          {"nms_candidates", nms_candidates},
          {"nms_sigma", nms_sigma},
          {"update_threshold", update_threshold},
          {"max_detections", max_detections}};
}

void Solov2Config::read(ConfigReader& read) {
  read_grid(read);
  read("head_channels", head_channels);
  read("head_convs", head_convs);
  read.done();
  check_grid();
  check_config(head_convs >= 1, "model.head_convs", head_convs, ">= 1");
  check_config(head_channels >= 1 && head_channels % groups == 0, "model.head_channels", head_channels,
               "a multiple of model.groups");
}

nlohmann::json Solov2Config::json() const {
  nlohmann::json j = grid_json("solov2");
  j["head_channels"] = head_channels;
  j["head_convs"] = head_convs;
  return j;
}

void from_json(const nlohmann::json& j, Solov2Config& config) {
  ConfigReader read(j, "model");
  config.read(read);
}

void to_json(nlohmann::json& j, const Solov2Config& config) { j = config.json(); }

}  // namespace iuq::model
