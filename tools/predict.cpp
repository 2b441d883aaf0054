#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/infer/contact_sheet.h"
#include "lib/infer/predict.h"
#include "lib/view/device.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {
    "iuq-predict", "Finds the instances of images with a trained model; writes COCO results.",
    "iuq-predict --annotations instances_val2017.json --images val2017 --model model.safetensors -o predictions.json",
    /*stops_between_items=*/true};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    iuq::infer::PredictJob job;
    tool.input("--annotations", job.annotations, "COCO json that lists the images");
    tool.input("--images", job.images, "folder of the images; not needed with --features", false);
    tool.inputs("--features", job.features, "files or folders of iuq-cache", false);
    tool.input("--model", job.model, "model.safetensors of iuq-train, or a whole model of iuq-convert with section \"model\" "
               "of the config");
    double score_threshold = -1;
    int64_t max_detections = 0, short_side = 0;
    bool flip_test = false;
    tool.flags().add_option("--score-threshold", score_threshold, "leave out detections below")->check(CLI::Range(0.0, 1.0));
    tool.flags().add_option("--max-dets", max_detections, "most detections per image (default 100; 300 for LVIS)")
        ->check(CLI::Range(int64_t{1}, int64_t{100000}));
    tool.flags().add_option("--short-side", short_side, "shorter image side in pixels (default: the model's)")
        ->check(CLI::Range(int64_t{32}, int64_t{8192}));
    tool.flags().add_flag("--flip-test", flip_test, "look at each image a second time, mirrored, and merge the detections");
    std::string sheet;
    tool.flags().add_option("--contact-sheet", sheet, "also draw the first images, ground truth beside predictions")
        ->type_name("PNG");
    using namespace iuq::cli;
    tool.offer(kConfig | kOutput | kDevice | kThreads | kShard | kJson | kMaxErrors | kStrict);
    tool.parse();
    tool.section("predict").get_to(job.predict);
    tool.section("input").get_to(job.input);
    job.segmenter = tool.section("model");
    if (!(score_threshold < 0)) job.predict.score_threshold = score_threshold;
    if (short_side > 0) job.predict.short_side = short_side;
    if (flip_test) job.predict.flip_test = true;
    if (max_detections > 0) job.predict.max_detections = max_detections;
    if (!sheet.empty() && tool.output() == "-") {
      throw iuq::Error(iuq::ErrorCode::kUsage, "--contact-sheet reads the results back, so --output must be a file");
    }
    tool.keep_inputs("--contact-sheet", sheet);
    if (!sheet.empty()) iuq::infer::check_contact_sheet(sheet);
    job.predict.check();
    tool.print_config_if_asked({{"predict", job.predict}}, {iuq::describe_section("predict", job.predict)});
    job.shard = tool.shard();
    job.max_errors = tool.max_errors();
    job.strict = tool.strict();
    iuq::view::set_threads(tool.threads());
    job.device = iuq::view::open_device(tool.device());
    const auto report = iuq::infer::predict(job, tool.output(), tool.force(), tool.dry_run());
    if (!sheet.empty() && !tool.dry_run()) {
      iuq::infer::write_contact_sheet(job.annotations, job.images, tool.output(), sheet, 12, 0.3);
    }
    if (tool.json()) {
      std::cout << nlohmann::json({{"images", report.images}, {"detections", report.detections},
                                   {"failed", report.failed}, {"seconds", report.seconds},
                                   {"up_to_date", report.up_to_date}}).dump() << "\n";
    }
    return 0;
  });
}
