#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/info/inspect.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {"iuq-info",
                                  "Says what a file of iuq is and where it comes from, and whether it is whole.",
                                  "iuq-info --check features.h5 negatives.h5 model.safetensors"};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    std::vector<std::string> files;
    bool check = false, deep = false;
    tool.inputs("files", files, "features.h5, negatives.h5, *.safetensors, predictions, annotations, ap.json, metrics.jsonl");
    tool.flags().add_flag("--check", check, "one line per file; exit 1 if one is damaged or incomplete");
    tool.flags().add_flag("--deep", deep, "also read and verify all data: checksums, weights, annotations");
    tool.offer(iuq::cli::kJson);
    tool.parse();
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
