#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/error.h"
#include "lib/info/checkup.h"
#include "lib/info/clean_copy.h"
#include "lib/info/get_values.h"
#include "lib/info/inspect.h"
#include "tools/cli/info_options.h"

namespace {

constexpr iuq::cli::Info kInfo = {"iuq-info",
                                  "Says what a file of iuq is and where it comes from, and whether it is whole.",
                                  "iuq-info --check features.h5 negatives.h5 model.safetensors\n  iuq-info --check --images photos/ --fix clean.json annotations.json"};

int print_values(const iuq::cli::InfoOptions& options) {
  for (const std::string& path : options.files) {
    for (const std::string& value : iuq::info::get_values(path, options.names)) std::cout << value << "\n";
  }
  return 0;
}

// Annotations and their images.
int check_up(const iuq::cli::InfoOptions& options, const iuq::cli::Tool& tool) {
  bool has_faults = false;
  for (const std::string& path : options.files) {
    const iuq::info::Checkup checkup = iuq::info::check_up(
        path, {.images = options.images, .threads = tool.threads(), .min_pixels = options.min_pixels, .detections = options.detections});
    std::cout << (tool.json() ? iuq::info::to_json(checkup).dump() + "\n" : iuq::info::to_text(checkup));
    has_faults = has_faults || checkup.has_faults();
    if (options.fix.empty()) continue;
    iuq::info::fix(checkup, options.fix, options.force);
    return 0;
  }
  return has_faults ? 1 : 0;
}

int inspect(const iuq::cli::InfoOptions& options, const iuq::cli::Tool& tool) {
  bool whole = true;
  for (const std::string& path : options.files) {
    const iuq::info::FileReport report = iuq::info::inspect(path, options.deep);
    whole = whole && report.problem.empty();
    if (tool.json()) {
      std::cout << iuq::info::to_json(report).dump() << "\n";
    } else if (options.check) {
      std::cout << path << ": " << report.kind << ", " << (report.problem.empty() ? "whole" : report.problem) << "\n";
    } else {
      std::cout << iuq::info::to_text(report);
    }
  }
  return options.check && !whole ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    iuq::cli::InfoOptions options;
    options.add_to(tool);
    tool.parse();
    options.verify(tool);
    if (!options.names.empty()) return print_values(options);
    return options.checks_up() ? check_up(options, tool) : inspect(options, tool);
  });
}
