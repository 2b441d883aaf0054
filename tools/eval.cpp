#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/eval/evaluate.h"
#include "lib/eval/report.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"
#include "tools/cli/tool.h"

namespace {

struct Options {
  std::string annotations, predictions, output, iou = "segm", protocol = "coco";
  std::vector<int> max_dets;
  bool pool = false, per_category = false, force = false;
  double min_ap = -1;

  void add_to(iuq::cli::Tool& tool) {
    tool.input("--annotations", annotations, "annotations, COCO or LVIS JSON; - is stdin");
    tool.input("--predictions", predictions, "results list, COCO JSON; - is stdin");
    auto& flags = tool.flags();
    flags.add_option("--iou", iou, "segm, bbox or both")->capture_default_str()->type_name("TYPE");
    flags.add_option("--protocol", protocol, "coco or lvis")->capture_default_str()->type_name("NAME");
    flags.add_option("--max-dets", max_dets, "cuts: three per image and category (coco, default 1,10,100), one per image "
                     "(lvis, default 300)")->delimiter(',')->type_name("N[,N,N]");
    flags.add_flag("--pool-categories", pool, "judge shapes alone, all categories as one (coco)");
    flags.add_flag("--per-category", per_category, "add a table of categories");
    flags.add_option("--min-ap", min_ap, "exit 1 when AP (0..1, first IoU type) is lower")->type_name("X");
    flags.add_option("-o,--output", output, "also write the numbers with their provenance")->type_name("PATH");
    flags.add_flag("-f,--force", force, "replace an existing output");
    tool.offer(iuq::cli::kThreads | iuq::cli::kJson);
  }

  iuq::eval::EvalConfig config(int threads) const {
    iuq::eval::EvalConfig config;
    config.protocol = iuq::eval::parse_protocol(protocol);
    config.iou_types = iuq::eval::parse_iou_types(iou);
    if (config.protocol == iuq::eval::Protocol::kLvis) config.max_dets = {300};
    if (!max_dets.empty()) config.max_dets = max_dets;
    config.use_categories = !pool;
    config.threads = threads;
    return config;
  }
};

int run(iuq::cli::Tool& tool) {
  Options options;
  options.add_to(tool);
  tool.parse();
  const auto config = options.config(tool.threads());
  config.check();
  nlohmann::json provenance;
  if (!options.output.empty()) {
    const auto wanted = iuq::eval::provenance_of(options.annotations, options.predictions, config);
    if (!iuq::eval::is_written(options.output, wanted, options.force)) provenance = wanted.to_json();
  }
  const auto summaries = iuq::eval::evaluate(options.annotations, options.predictions, config);
  auto report = iuq::eval::to_json(config, summaries);
  if (tool.json()) std::cout << report.dump(1) << "\n";
  for (const auto& summary : summaries) {
    if (!tool.json()) std::cout << iuq::eval::to_table(summary, options.per_category);
  }
  report["provenance"] = provenance;
  if (!provenance.is_null()) iuq::io::write_json(options.output, report);
  const double ap = iuq::eval::headline_ap(summaries);
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
