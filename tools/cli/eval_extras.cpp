#include "tools/cli/eval_extras.h"

#include "lib/eval/compare.h"
#include "lib/eval/confusion.h"
#include "lib/eval/errors.h"
#include "lib/eval/report.h"
#include "lib/io/atomic_file.h"

namespace iuq::cli {

void EvalExtras::look(const eval::EvalInput& input, const eval::Curves& curves) {
  constexpr double kMatch = 0.5;  // IoU from which a detection is one of an instance
  if (!options_.curves.empty()) curves_ += eval::curves_to_csv(input, curves);
  if (options_.errors) {
    const eval::ErrorBreakdown breakdown = eval::break_down_errors(input);
    tables_ += "\n" + eval::to_table(breakdown);
    errors_.push_back(eval::to_json(breakdown));
  }
  if (options_.confusion >= 0) {
    const eval::Confusion confusion = eval::count_confusions(input, kMatch, options_.confusion);
    tables_ += "\n" + eval::to_table(confusion);
    confusion_.push_back(eval::to_json(confusion));
  }
}

void EvalExtras::compare(const eval::EvalConfig& config) {
  if (options_.compare.empty()) return;
  const eval::Comparison comparison = eval::compare(options_.annotations, options_.predictions, options_.compare, config,
                                                    options_.resamples, static_cast<uint64_t>(options_.seed));
  tables_ += "\n" + eval::to_table(comparison);
  comparison_ = eval::to_json(comparison);
}

void EvalExtras::add_to(nlohmann::json& report) const {
  if (!errors_.is_null()) report["errors"] = errors_;
  if (!confusion_.is_null()) report["confusion"] = confusion_;
  if (!comparison_.is_null()) report["comparison"] = comparison_;
}

void EvalExtras::write() const {
  if (!options_.curves.empty()) io::write_text(options_.curves, eval::kCurvesHeader + curves_);
}

}  // namespace iuq::cli
