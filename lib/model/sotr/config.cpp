#include "lib/model/sotr/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

void SotrConfig::read(ConfigReader& read) {
  read_grid(read);
  read("depth", depth);
  read("heads", heads);
  read("head_width", head_width);
  read.done();
  check_grid();
  check_config(depth >= 0 && depth <= 100, "model.depth", depth, "in 0..100");
  check_config(heads >= 1, "model.heads", heads, ">= 1");
  check_config(head_width >= 1, "model.head_width", head_width, ">= 1");
}

nlohmann::json SotrConfig::json() const {
  nlohmann::json j = grid_json("sotr");
  j["depth"] = depth;
  j["heads"] = heads;
  j["head_width"] = head_width;
  return j;
}

void from_json(const nlohmann::json& j, SotrConfig& config) {
  ConfigReader read(j, "model");
  config.read(read);
}

void to_json(nlohmann::json& j, const SotrConfig& config) { j = config.json(); }

}  // namespace iuq::model
