#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/eval/summary.h"

namespace iuq::eval {

using CurvesVisitor = std::function<void(IouType, const Curves&)>;

/// Loads both files ("-" is stdin for one of them) and evaluates each IoU type of the config, in its order. `visit`, if
/// given, sees the full curves. Warns on stderr about id 0 and about size ranges without annotations.
/// Errors: kUsage (config), kNoInput, kIo, kBadData naming file, section, index and key.
std::vector<Summary> evaluate(const std::string& annotations, const std::string& predictions, const EvalConfig& config,
                              const CurvesVisitor& visit = {});

}  // namespace iuq::eval
