#pragma once

#include <string>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/eval/config.h"

namespace iuq::eval {

/// Says that something in the files cannot be meant: a warning, or Error(kBadData) when the evaluation is strict.
inline void complain(const EvalConfig& config, const std::string& what) {
  if (config.strict) throw Error(ErrorCode::kBadData, what);
  log::warning(what);
}

}  // namespace iuq::eval
