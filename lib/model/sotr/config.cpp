#include "lib/model/sotr/config.h"

namespace iuq::model {

ConfigFields SotrConfig::fields() {
  return with_grid_fields("sotr", {
      {"depth", &depth, "layers of the transformer", Range::closed(0, 100)},
      {"heads", &heads, "heads of its attention", Range::at_least(1)},
      {"head_width", &head_width, "channels of one head", Range::at_least(1)},
  });
}

void SotrConfig::check() const {
  check_ranges(*this);
  check_grid();
}

}  // namespace iuq::model
