#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/eval/summary.h"

namespace iuq::eval {

/// Sees all there is of one IoU type: for curves, error analysis and whatever else is asked of an evaluation.
using EvalVisitor = std::function<void(const EvalInput&, const MatchTable&, const Curves&)>;

/// Loads both files ("-" is stdin for one of them) and evaluates each IoU type of the config, in its order. `visit`, if
/// given, is called for each. Warns on stderr about id 0 and about size ranges without annotations.
/// Errors: kUsage (config), kNoInput, kIo, kBadData naming file, section, index and key.
std::vector<Summary> evaluate(const std::string& annotations, const std::string& predictions, const EvalConfig& config,
                              const EvalVisitor& visit = {});

}  // namespace iuq::eval
