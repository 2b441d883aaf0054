#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/cache/cache_features.h"
#include "lib/data/annotations.h"
#include "lib/data/image_check.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/view/device.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {
    "iuq-cache", "Runs the backbone over several views of every image once and keeps its feature maps.",
    "iuq-cache -c pipelines/toy.json --annotations train.json --images train --model base/model.safetensors \\\n"
    "      -o features.h5", /*stops_between_items=*/true};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    using namespace iuq;
    std::string annotations, images, model_path;
    cache::CacheConfig config;
    view::ViewConfig views;
    tool.input("--annotations", annotations, "COCO or LVIS annotations of the images");
    tool.input("--images", images, "folder of the images");
    tool.input("--model", model_path, "model.safetensors whose backbone to use");
    tool.offer(cli::kConfig | cli::kOutput | cli::kDevice | cli::kThreads | cli::kShard | cli::kResume | cli::kMaxErrors |
               cli::kStrict);
    tool.parse();
    tool.section("cache").get_to(config);
    tool.section("view").get_to(views);
    model::Checkpoint checkpoint;
    if (!model_path.empty()) checkpoint = model::load_checkpoint(model_path);  // without one, --print-config has the defaults
    view::InputConfig input = checkpoint.input;  // its preprocessing belongs to the weights, sizes may be another
    tool.section("input").get_to(input);
    if (!model_path.empty()) view::take_preprocessing(input, view::preprocessing_json(checkpoint.input), model_path);
    nlohmann::json effective = {{"seed", tool.seed()}, {"cache", config}, {"view", views}, {"input", input}};
    tool.print_config_if_asked(effective, {describe_section("cache", config), describe_section("view", views),
                                           describe_section("input", input)});

    const auto dataset = data::Dataset::load(
        annotations, {.threads = tool.threads(), .strict = tool.strict(), .images = images, .needs_annotations = false});
    const auto usable = data::usable_images(dataset, images, data::all_images(dataset), tool.max_errors(), tool.threads());
    if (!usable.left.empty()) effective["left_out"] = usable.left_out();
    io::Provenance provenance("iuq-cache", effective);
    provenance.add_file("annotations", annotations);
    provenance.add_artifact("model", checkpoint.provenance, checkpoint.content);
    std::string output = tool.output();
    if (!tool.shard().is_whole()) output = io::join(output, tool.shard().name() + ".h5");
    if (cache::is_cached(output, provenance, tool.force() && !tool.dry_run())) return 0;

    view::set_threads(tool.threads());
    const auto segmenter = checkpoint.segmenter;
    cache::Backbone backbone;
    backbone.features = [segmenter](const at::Tensor& batch) { return segmenter->backbone(batch); };
    backbone.channels = segmenter->backbone_channels();
    backbone.alignment = segmenter->alignment();
    backbone.digest = cache::weights_digest(*segmenter, segmenter->backbone_prefix());
    backbone.device = view::open_device(tool.device());
    segmenter->to(backbone.device);
    cache::CacheJob job{dataset, images, input, views, config, tool.seed(), tool.shard()};
    for (const auto& left : usable.left) job.left_out.insert(left.image);
    auto plan = cache::plan_features(job, backbone, provenance.to_json());
    log::info(cache::describe_plan(plan, output, config.gzip));
    if (tool.dry_run()) return 0;
    io::make_folders(io::folder_of(output));
    cache::cache_features(job, backbone, std::move(plan), output, tool.resume());
    log::info("wrote \"" + output + "\"");
    return 0;
  });
}
