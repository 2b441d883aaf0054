#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/eval/evaluate.h"
#include "tools/cli/eval_options.h"

namespace iuq::cli {

/// What iuq-eval tells beside the averages, as text and as JSON.
class EvalExtras {
 public:
  explicit EvalExtras(const EvalOptions& options) : options_(options) {}

  /// Looks at one IoU type of the evaluation.
  void look(const eval::EvalInput& input, const eval::Curves& curves);
  /// Evaluates the list of --compare, if there is one.
  void compare(const eval::EvalConfig& config);

  const std::string& tables() const { return tables_; }
  void add_to(nlohmann::json& report) const;
  /// Writes --curves, if asked for.
  void write() const;

 private:
  const EvalOptions& options_;
  std::string curves_, tables_;
  nlohmann::json errors_, confusion_, comparison_;
};

}  // namespace iuq::cli
