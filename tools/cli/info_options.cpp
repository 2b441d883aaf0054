#include "tools/cli/info_options.h"

#include "lib/base/error.h"

namespace iuq::cli {

void InfoOptions::add_to(Tool& tool) {
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
  tool.offer(kJson | kThreads);
}

void InfoOptions::verify(const Tool& tool) const {
  const auto refuse = [](const char* what) { throw Error(ErrorCode::kUsage, what); };
  if (!names.empty() && (check || deep || tool.json())) refuse("--get prints values alone; leave out --check, --deep and --json");
  if (checks_up() && !check) refuse("--images and --fix go with --check");
  if (!fix.empty() && files.size() != 1) refuse("--fix mends one file at a time");
  if (fix.empty()) return;
  if (fix == "-" || files.front() == "-") refuse("--fix reads its input twice and writes a file; name both");
  if (fix.ends_with(".gz")) refuse("--fix writes plain JSON; give it a name without .gz");
  tool.keep_inputs("--fix", fix);
}

}  // namespace iuq::cli
