#include "tools/cli/eval_options.h"

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/image_header.h"
#include "lib/eval/protocol.h"
#include "lib/io/atomic_file.h"

namespace iuq::cli {

void EvalOptions::add_to(Tool& tool) {
  tool.input("--annotations", annotations, "annotations, COCO or LVIS JSON, plain or gzip; - is stdin");
  tool.input("--predictions", predictions, "results list, COCO JSON, plain or gzip; - is stdin");
  tool.input("--images", images, "folder of the images, for sizes that the annotations do not state", false);
  auto& flags = tool.flags();
  flags.add_option("--style,--protocol", style, "coco, lvis, or auto: as the annotations are")->capture_default_str()->type_name("NAME");
  flags.add_option("--iou", iou, "segm, bbox, boundary, or several; both is segm,bbox")->capture_default_str()
      ->type_name("TYPE[,TYPE]");
  flags.add_option("--max-dets", max_dets, "cuts: three per image and category (coco, default 1,10,100), one per image "
                   "(lvis, default 300)")->delimiter(',')->type_name("N[,N,N]");
  flags.add_option("--iou-thresholds", iou_thresholds, "IoUs a match is asked for at, at most 16 (default .5,.55,...,.95)")
      ->delimiter(',')->type_name("X[,X]");
  flags.add_option("--area-sides", area_sides, "sides in pixels of the squares between small, medium and large (default "
                   "32,96)")->delimiter(',')->type_name("X,X");
  flags.add_option("--boundary-ratio", boundary_ratio, "width of a boundary over the image's diagonal")
      ->capture_default_str()->type_name("X");
  flags.add_option("--categories", categories, "only these, by name or id")->delimiter(',')->type_name("NAME[,NAME]");
  flags.add_option("--image-ids", image_ids, "only these")->delimiter(',')->type_name("ID[,ID]");
  flags.add_flag("--pool-categories", pool, "judge shapes alone, all categories as one (coco)");
  flags.add_flag("--per-category", per_category, "add a table of categories");
  flags.add_flag("--csv", csv, "the table of categories as comma-separated values, nothing else");
  flags.add_option("--curves", curves, "also write precision over recall, comma-separated")->type_name("PATH");
  flags.add_flag("--errors", errors, "add what each kind of error costs (classification, localisation, ...), as TIDE does");
  flags.add_option("--confusion", confusion, "add which categories are taken for which, among detections of this score")
      ->check(CLI::Range(0.0, 1.0))->type_name("SCORE");
  tool.input("--compare", compare, "another results list: differences with bootstrap intervals over images", false);
  flags.add_option("--resamples", resamples, "of --compare")->check(CLI::Range(10, 1000000))->capture_default_str()
      ->type_name("N");
  flags.add_option("--seed", seed, "of --compare")->check(CLI::Range(int64_t{0}, INT64_MAX))->capture_default_str()
      ->type_name("N");
  flags.add_option("--min-ap", min_ap, "exit 1 when AP (0..1, first IoU type) is lower")->type_name("X");
  flags.add_option("-o,--output", output, "also write the numbers with their provenance")->type_name("PATH");
  flags.add_flag("-f,--force", force, "replace an existing output");
  tool.offer(kThreads | kJson | kStrict);
}

eval::EvalConfig EvalOptions::config(const Tool& tool) const {
  eval::EvalConfig config;
  config.protocol = style == "auto" ? eval::protocol_of(annotations) : eval::parse_protocol(style);
  if (style == "auto" && config.protocol == eval::Protocol::kLvis) {
    log::info(cat("\"", annotations, "\" is an LVIS file and judged as one; --style coco for the other way"));
  }
  config.iou_types = eval::parse_iou_types(iou);
  if (config.protocol == eval::Protocol::kLvis) config.max_dets = {300};
  if (!max_dets.empty()) config.max_dets = max_dets;
  if (!iou_thresholds.empty()) config.iou_thresholds = iou_thresholds;
  if (!area_sides.empty()) config.areas = eval::parse_area_sides(area_sides);
  config.use_categories = !pool;
  config.categories = categories;
  config.image_ids = image_ids;
  config.boundary_ratio = boundary_ratio;
  config.threads = tool.threads();
  config.strict = tool.strict();
  if (!images.empty()) {
    config.image_size = [folder = images](const std::string& file_name) {
      const data::ImageHeader header = data::stated_header(io::join(folder, file_name));
      if (header.has_size()) return header.turned();
      throw Error(ErrorCode::kBadData, cat("\"", io::join(folder, file_name), "\" does not tell its size"));
    };
  }
  config.check();
  if (!compare.empty() && (annotations == "-" || predictions == "-" || compare == "-")) {
    throw Error(ErrorCode::kUsage, "--compare reads its files more than once, so none of them can be stdin");
  }
  return config;
}

}  // namespace iuq::cli
