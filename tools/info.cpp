#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/info/get_values.h"
#include "lib/info/inspect.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {"iuq-info",
                                  "Says what a file of iuq is and where it comes from, and whether it is whole.",
                                  "iuq-info --check features.h5 negatives.h5 model.safetensors"};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    std::vector<std::string> files, names;
    bool check = false, deep = false;
    tool.inputs("files", files, "features.h5, negatives.h5, *.safetensors, predictions, annotations, ap.json, metrics.jsonl");
    tool.flags().add_flag("--check", check, "one line per file; exit 1 if one is damaged or incomplete");
    tool.flags().add_flag("--deep", deep, "also read and verify all data: checksums, weights, annotations");
    tool.flags().add_option("--get", names, "print one value of a JSON file, alone on a line; repeat for more")
        ->type_name("KEY.KEY")->allow_extra_args(false);
    tool.offer(iuq::cli::kJson);
    tool.parse();
    if (!names.empty()) {
      if (check || deep || tool.json()) {
        throw iuq::Error(iuq::ErrorCode::kUsage, "--get prints values alone; leave out --check, --deep and --json");
      }
      for (const std::string& path : files) {
        for (const std::string& value : iuq::info::get_values(path, names)) std::cout << value << "\n";
      }
      return 0;
    }
    bool whole = true;
    for (const std::string& path : files) {
      const iuq::info::FileReport report = iuq::info::inspect(path, deep);
      whole = whole && report.problem.empty();
      if (tool.json()) {
        std::cout << iuq::info::to_json(report).dump() << "\n";
      } else if (check) {
        std::cout << path << ": " << report.kind << ", " << (report.problem.empty() ? "whole" : report.problem) << "\n";
      } else {
        std::cout << iuq::info::to_text(report);
      }
    }
    return check && !whole ? 1 : 0;
  });
}
