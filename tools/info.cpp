#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/info/checkup.h"
#include "lib/info/clean_copy.h"
#include "lib/info/get_values.h"
#include "lib/info/inspect.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {"iuq-info",
                                  "Says what a file of iuq is and where it comes from, and whether it is whole.",
                                  "iuq-info --check features.h5 negatives.h5 model.safetensors\n  iuq-info --check --images photos/ --fix clean.json annotations.json"};

struct Options {
  std::vector<std::string> files, names;
  bool check = false, deep = false, force = false;
  std::string images, fix;
  int64_t min_pixels = 16, detections = 100;

  void add_to(iuq::cli::Tool& tool) {
    tool.inputs("files", files, "features.h5, negatives.h5, *.safetensors, predictions, annotations, ap.json, metrics.jsonl");
    auto& flags = tool.flags();
    flags.add_flag("--check", check, "one line per file; exit 1 if one is damaged or incomplete");
    flags.add_flag("--deep", deep, "also read and verify all data: checksums, weights, annotations");
    flags.add_option("--get", names, "print one value of a JSON file, alone on a line; repeat for more")
        ->type_name("KEY.KEY")->allow_extra_args(false);
    tool.input("--images", images, "folder of the images: with --check all that is wrong with annotations and images, by kind", false);
    flags.add_option("--fix", fix, "with --check: write the annotations without their faults; exit 0 when that is done")
        ->type_name("OUT.json");
    flags.add_flag("-f,--force", force, "replace an existing OUT.json");
    flags.add_option("--min-pixels", min_pixels, "objects of a smaller area are pointed out; train.min_pixels")
        ->capture_default_str()->type_name("N")->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
    flags.add_option("--detections", detections, "of an image, that an evaluation counts: images with more objects are pointed out")
        ->capture_default_str()->type_name("N")->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
    tool.offer(iuq::cli::kJson | iuq::cli::kThreads);
  }

  bool checks_up() const { return !images.empty() || !fix.empty(); }
  void verify(const iuq::cli::Tool& tool) const {
    const auto refuse = [](const char* what) { throw iuq::Error(iuq::ErrorCode::kUsage, what); };
    if (!names.empty() && (check || deep || tool.json())) refuse("--get prints values alone; leave out --check, --deep and --json");
    if (checks_up() && !check) refuse("--images and --fix go with --check");
    if (!fix.empty() && files.size() != 1) refuse("--fix mends one file at a time");
    if (!fix.empty()) tool.keep_inputs("--fix", fix);
  }
};

int print_values(const Options& options) {
  for (const std::string& path : options.files) {
    for (const std::string& value : iuq::info::get_values(path, options.names)) std::cout << value << "\n";
  }
  return 0;
}

// Annotations and their images.
int check_up(const Options& options, const iuq::cli::Tool& tool) {
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

int inspect(const Options& options, const iuq::cli::Tool& tool) {
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
    Options options;
    options.add_to(tool);
    tool.parse();
    options.verify(tool);
    if (!options.names.empty()) return print_values(options);
    return options.checks_up() ? check_up(options, tool) : inspect(options, tool);
  });
}
