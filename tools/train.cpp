#include <nlohmann/json.hpp>

#include "lib/model/segmenter.h"
#include "lib/train/trainer.h"
#include "lib/view/device.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {
    "iuq-train", "Trains a segmenter, end to end on images or on cached features, with or without the method.",
    "iuq-train -c pipelines/toy.json --variant method --annotations train.json --features features.h5 \\\n"
    "      --negatives negatives.h5 --weights base/model.safetensors -o runs/toy/method", /*stops_between_items=*/true};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    iuq::train::TrainJob job;
    tool.input("--annotations", job.annotations, "COCO annotations of the training images");
    tool.input("--images", job.images, "folder of the images; not needed with --features", false);
    tool.inputs("--features", job.features, "files or folders of iuq-cache; the backbone stays as it is", false);
    tool.inputs("--negatives", job.negatives, "files of iuq-mine", false);
    tool.input("--weights", job.weights, "weights to start from: a checkpoint or iuq-convert's output", false);
    tool.flags().add_option("--diagnose-every", job.diagnose_every,
                            "steps between two lines in metrics.jsonl that say what the terms do (default 0: none)")
        ->check(CLI::Range(int64_t{0}, INT64_MAX))->type_name("N");
    tool.flags().add_flag("--accept-changes", job.accept_changes,
                          "with --resume: go on although annotations or images have changed since the run began");
    using namespace iuq::cli;
    tool.offer(kConfig | kOutput | kDevice | kThreads | kResume | kMaxErrors | kStrict);
    tool.parse();
    job.seed = tool.seed();
    job.model = iuq::model::effective_model_config(tool.section("model"));
    tool.section("input").get_to(job.input);
    tool.section("view").get_to(job.view);
    tool.section("train").get_to(job.train);
    tool.section("uniq").get_to(job.uniq);
    tool.print_config_if_asked({{"seed", job.seed}, {"model", job.model}, {"input", job.input}, {"view", job.view},
                                {"train", job.train}, {"uniq", job.uniq}},
                               {iuq::model::describe_model_config(job.model), iuq::describe_section("input", job.input),
                                iuq::describe_section("view", job.view), iuq::describe_section("train", job.train),
                                iuq::describe_section("uniq", job.uniq)});
    job.threads = tool.threads();
    job.max_errors = tool.max_errors();
    job.strict = tool.strict();
    iuq::view::set_threads(job.threads);
    job.device = iuq::view::open_device(tool.device());
    iuq::train::train(job, tool.output(), tool.resume(), tool.force(), tool.dry_run());
    return 0;
  });
}
