#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/eval/evaluate.h"
#include "lib/eval/report.h"
#include "lib/io/json_file.h"
#include "tools/cli/eval_extras.h"
#include "tools/cli/eval_options.h"

namespace {

int run(iuq::cli::Tool& tool) {
  using namespace iuq::eval;
  iuq::cli::EvalOptions options;
  options.add_to(tool);
  tool.parse();
  tool.keep_inputs("--output", options.output);
  const EvalConfig config = options.config(tool);
  nlohmann::json provenance;
  if (!options.output.empty()) {
    const auto wanted = provenance_of(options.annotations, options.predictions, config);
    if (!is_written(options.output, wanted, options.force)) provenance = wanted.to_json();
  }
  iuq::cli::EvalExtras extras(options);
  const auto summaries = evaluate(options.annotations, options.predictions, config,
                                  [&](const EvalInput& input, const MatchTable&, const Curves& curves) {
                                    extras.look(input, curves);
                                  });
  extras.compare(config);
  auto report = to_json(config, summaries);
  extras.add_to(report);
  if (tool.json()) {
    std::cout << report.dump(1) << "\n";
  } else if (options.csv) {
    std::cout << to_csv(summaries);
  } else {
    for (const auto& summary : summaries) std::cout << to_table(summary, options.per_category);
    std::cout << extras.tables();
  }
  extras.write();
  report["provenance"] = provenance;
  if (!provenance.is_null()) iuq::io::write_json(options.output, report);
  const double ap = headline_ap(summaries);
  if (ap >= options.min_ap) return 0;
  iuq::log::error("AP " + std::to_string(ap) + " is below --min-ap " + std::to_string(options.min_ap));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv,
                            {"iuq-eval", "COCO or LVIS average precision of a results list, exactly as the reference "
                             "evaluators compute it.",
                             "iuq-eval --annotations instances_val2017.json --predictions results.json --iou both"}, run);
}
