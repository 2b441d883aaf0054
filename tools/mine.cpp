#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/uniq/mine.h"
#include "lib/view/device.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {
    "iuq-mine", "Finds, for every instance, the pixels of other scenes that its query fires on most.",
    "iuq-mine -c pipelines/toy.json --annotations train.json --features features.h5 --model base/model.safetensors \\\n"
    "      -o negatives.h5", /*stops_between_items=*/true};

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv, kInfo, [](iuq::cli::Tool& tool) {
    using namespace iuq;
    std::string annotations, images, model_path;
    std::vector<std::string> features;
    uniq::MineConfig config;
    tool.input("--annotations", annotations, "COCO or LVIS annotations of the cached images");
    tool.input("--images", images, "folder of the images; needed only where the annotations do not state their sizes", false);
    tool.inputs("--features", features, "files or folders of iuq-cache");
    tool.input("--model", model_path, "model.safetensors whose queries to mine with; its backbone is the cache's");
    tool.offer(cli::kConfig | cli::kOutput | cli::kDevice | cli::kThreads | cli::kShard | cli::kMaxErrors | cli::kStrict);
    tool.parse();
    tool.section("mine").get_to(config);
    tool.print_config_if_asked({{"seed", tool.seed()}, {"mine", config}}, {describe_section("mine", config)});
    const model::Checkpoint checkpoint = model::load_checkpoint(model_path);
    view::InputConfig input = checkpoint.input;
    tool.section("input").get_to(input);
    view::set_threads(tool.threads());
    const auto store = cache::FeatureStore::open(features);
    const auto dataset = data::Dataset::load(
        annotations, {.threads = tool.threads(), .strict = tool.strict(), .images = images});
    const uniq::MineJob job{dataset, store, *checkpoint.segmenter, input, config, tool.seed(),
                            view::open_device(tool.device()), tool.shard(), tool.max_errors()};
    const auto usable = uniq::check_mine_job(job);
    nlohmann::json effective = {{"seed", tool.seed()}, {"mine", config}, {"input", input}};
    if (!usable.left.empty()) effective["left_out"] = usable.left_out();
    io::Provenance provenance("iuq-mine", effective);
    provenance.add_file("annotations", annotations);
    provenance.add_artifact("model", checkpoint.provenance, checkpoint.content);
    provenance.add_artifact("features", store.provenance(), store.content_digest());
    store.warn_of_other_annotations(provenance.to_json());
    std::string output = tool.output();
    if (!tool.shard().is_whole()) output = io::join(output, tool.shard().name() + ".h5");
    if (uniq::is_mined(output, provenance, tool.force())) return 0;
    if (tool.dry_run()) {
      log::info(iuq::cat("would mine the scenes of \"", annotations, "\" into \"", output, "\"; digest ", provenance.digest()));
      return 0;
    }
    io::make_folders(io::folder_of(output));
    checkpoint.segmenter->to(job.device);
    uniq::NegativesTable table = uniq::mine_negatives(job);
    table.provenance = provenance.to_json().dump();
    uniq::write_negatives(output, table);
    log::info(iuq::cat("wrote the negatives of ", table.instances.size(), " instances to \"", output, "\""));
    return 0;
  });
}
