#pragma once

#include "lib/model/solov2/config.h"

namespace iuq::model {

/// Section "model" of the config when its "name" is "sotr". Defaults are the reference's (REFERENCE.md 1 and 2). The
/// transformer is as wide as the FPN. fields() says what each field means.
struct SotrConfig : GridConfig {
  int64_t depth = 12;
  int64_t heads = 8;
  int64_t head_width = 32;

  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::model
