#include "lib/uniq/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::uniq {

void UniqConfig::check() const {
  check_config(inter_weight >= 0, "uniq.inter_weight", inter_weight, ">= 0");
  check_config(equi_weight >= 0, "uniq.equi_weight", equi_weight, ">= 0");
  check_config(start >= 0, "uniq.start", start, ">= 0");
  check_config(ramp >= 0, "uniq.ramp", ramp, ">= 0");
  check_config(memory >= 1, "uniq.memory", memory, ">= 1");
  check_config(pixels_per_instance >= 1, "uniq.pixels_per_instance", pixels_per_instance, ">= 1");
  check_config(max_queries >= 0, "uniq.max_queries", max_queries, ">= 0");
  check_config(focal_alpha >= 0 && focal_alpha <= 1, "uniq.focal_alpha", focal_alpha, "in [0, 1]");
  check_config(focal_gamma >= 0, "uniq.focal_gamma", focal_gamma, ">= 0");
  check_config(hard_share >= 0 && hard_share <= 1, "uniq.hard_share", hard_share, "in [0, 1]");
  check_config(batching == "random" || batching == "mined", "uniq.batching", batching, "\"random\" or \"mined\"");
  check_config(equi_at == "backbone" || equi_at == "neck" || equi_at == "mask_features", "uniq.equi_at", equi_at,
               "\"backbone\", \"neck\" or \"mask_features\"");
}

double UniqConfig::ramp_at(int64_t step) const {
  if (step < start) return 0;
  if (ramp == 0) return 1;
  return std::min(1.0, static_cast<double>(step - start) / static_cast<double>(ramp));
}

void from_json(const nlohmann::json& j, UniqConfig& c) {
  ConfigReader read(j, "uniq");
  read("inter_weight", c.inter_weight);
  read("equi_weight", c.equi_weight);
  read("start", c.start);
  read("ramp", c.ramp);
  read("memory", c.memory);
  read("pixels_per_instance", c.pixels_per_instance);
  read("max_queries", c.max_queries);
  read("focal_alpha", c.focal_alpha);
  read("focal_gamma", c.focal_gamma);
  read("hard_share", c.hard_share);
  read("batching", c.batching);
  read("equi_at", c.equi_at);
  read.done();
  c.check();
}

void to_json(nlohmann::json& j, const UniqConfig& c) {
  j = {{"inter_weight", c.inter_weight},
       {"equi_weight", c.equi_weight},
       {"start", c.start},
       {"ramp", c.ramp},
       {"memory", c.memory},
       {"pixels_per_instance", c.pixels_per_instance},
       {"max_queries", c.max_queries},
       {"focal_alpha", c.focal_alpha},
       {"focal_gamma", c.focal_gamma},
       {"hard_share", c.hard_share},
       {"batching", c.batching},
       {"equi_at", c.equi_at}};
}

}  // namespace iuq::uniq
