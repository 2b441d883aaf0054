#pragma once

#include "lib/model/solov2/config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "sotr". Defaults are the reference's (models.md 4). The transformer is as
/// wide as the FPN.
struct SotrConfig : GridConfig {
  int64_t depth = 12;       // layers of the transformer
  int64_t heads = 8;        // of its attention
  int64_t head_width = 32;  // channels of one

  void read(ConfigReader& read);
  nlohmann::json json() const;
};
void from_json(const nlohmann::json& j, SotrConfig& config);
void to_json(nlohmann::json& j, const SotrConfig& config);

}  // namespace iuq::model
