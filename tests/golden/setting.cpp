#include "tests/golden/setting.h"

#include <torch/types.h>

#include <fstream>
#include <map>

#include "lib/cache/cache_features.h"
#include "lib/cache/feature_store.h"
#include "lib/data/lookalikes.h"
#include "lib/io/json_file.h"
#include "lib/io/provenance.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/uniq/mine.h"
#include "tests/unit/model/parity.h"

namespace iuq::test {
namespace {

using nlohmann::json;

constexpr uint64_t kSeed = 5;

// Nothing is resized (how exactly depends on OpenCV), but images are padded to 96 x 128.
constexpr const char* kCommon = R"({
  "input": {"short_side": [90], "long_side": 120, "flip": 0.5},
  "view": {"flip": 0.5, "both": 0.5, "min_area": 0.4},
  "cache": {"views": 4},
  "mine": {"negatives_per_instance": 4, "scenes_per_image": 3},
  "train": {"steps": 10, "batch": 4, "pairs": true, "lr": 0.0006, "milestones": [8], "warmup": 3, "warmup_factor": 0.1,
            "clip_norm": 2, "log_every": 1, "checkpoint_every": 5},
  "uniq": {"inter_weight": 4, "equi_weight": 2, "start": 2, "ramp": 4, "memory": 300, "pixels_per_instance": 8}
})";

// What a source and a segmenter set differently, so that the eight runs together see more than one setting of each.
json patch_of(const std::string& name) {
  static const std::map<std::string, const char*> patches = {
      {"images", R"({"train": {"repeat_threshold": 0.5}})"},
      {"cached", R"({"uniq": {"batching": "mined"}})"},
      {"solov2", R"({"model": {"name": "solov2",
         "backbone": {"name": "resnet10", "width": 8, "norm": "batch", "freeze": 0},
         "channels": 16, "head_channels": 16, "head_convs": 1, "mask_channels": 16, "embedding": 16, "groups": 4,
         "grids": [8, 8, 6, 4, 4], "scales": [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048]}})"},
      {"condinst", R"({"model": {"name": "condinst",
         "backbone": {"name": "resnet10", "width": 8, "norm": "frozen", "freeze": 0},
         "channels": 16, "head_convs": 1, "groups": 4, "mask_channels": 16, "mask_convs": 1, "mask_out_stride": 2,
         "sizes": [32, 64, 128, 256]},
         "view": {"resize": true}, "uniq": {"equi_at": "neck", "max_queries": 20}})"},
      {"sotr", R"({"model": {"name": "sotr",
         "backbone": {"name": "resnet10", "width": 8, "norm": "frozen", "freeze": 0},
         "channels": 16, "depth": 1, "heads": 2, "head_width": 8, "mask_channels": 16, "embedding": 16, "groups": 4,
         "grids": [8, 8, 6, 4, 4], "scales": [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048]},
         "train": {"optimizer": "adamw", "schedule": "cosine"}, "uniq": {"equi_at": "mask_features"}})"},
      {"mask2former", R"({"model": {"name": "mask2former",
         "backbone": {"name": "swin_t", "embed": 8, "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2], "window": 4},
         "width": 16, "embedding": 12, "groups": 4, "heads": 2, "encoder_layers": 1, "encoder_ffn": 16, "queries": 8,
         "decoder_layers": 2, "decoder_ffn": 16, "loss_points": 256},
         "train": {"optimizer": "adamw", "weight_decay": 0.05}})"}};
  return json::parse(patches.at(name));
}

json config_of(const std::string& source, const std::string& model) {
  json config = json::parse(kCommon);
  config.merge_patch(patch_of(source));
  config.merge_patch(patch_of(model));
  return config;
}

}  // namespace

StepSetting::StepSetting(const std::string& source, const std::string& model) {
  const json config = config_of(source, model);
  job.annotations = folder_ / "scenes/annotations/instances_train.json";
  job.model = model::effective_model_config(config.at("model"));
  config.at("input").get_to(job.input);
  config.at("view").get_to(job.view);
  config.at("train").get_to(job.train);
  config.at("uniq").get_to(job.uniq);
  job.seed = kSeed;
  job.weights = folder_ / "weights.safetensors";
  write_scenes();
  const auto dataset = data::Dataset::load(job.annotations);
  write_weights(dataset);
  job.images = folder_ / "scenes/images";
  if (source != "cached") return;
  cache_and_mine(dataset);
  job.images.clear();
}

void StepSetting::write_scenes() {
  data::SynthConfig synth;
  synth.images = 9;
  synth.val_images = 0;
  synth.height = 90;
  synth.width = 120;
  synth.min_instances = 2;
  synth.max_instances = 4;
  synth.seed = kSeed;
  data::write_lookalikes(synth, folder_ / "scenes", 1, false);
  json annotations = io::read_json(job.annotations);
  json kept = json::array();
  for (json& one : annotations.at("annotations")) {
    if (one.at("image_id") == 3) continue;
    if (one.at("image_id") == 5 && kept.back().at("image_id") != 5) one["iscrowd"] = 1;
    kept.push_back(one);
  }
  annotations["annotations"] = kept;
  io::write_json(job.annotations, annotations);
}

// Initial weights moved towards values by formula, so that logits are lively, yet classes keep their priors and no term
// drowns the others; scalars, which SOTR begins at 0, are at full size.
void StepSetting::write_weights(const data::Dataset& dataset) {
  const auto segmenter = model::make_segmenter(job.model, std::ssize(dataset.categories()), kSeed);
  const auto formula = model::make_segmenter(job.model, std::ssize(dataset.categories()), kSeed);
  fill_segmenter(*formula);
  {
    const torch::NoGradGuard guard;
    const auto from = formula->parameters(), to = segmenter->parameters();
    for (size_t i = 0; i < to.size(); ++i) to[i].dim() == 0 ? to[i].fill_(0.5) : to[i].lerp_(from[i], 0.4);
  }
  model::save_checkpoint(job.weights, *segmenter, job.model, job.input, dataset.categories(),
                         io::Provenance("test", {}).to_json());
}

void StepSetting::cache_and_mine(const data::Dataset& dataset) {
  const model::Checkpoint checkpoint = model::load_checkpoint(job.weights);
  model::Segmenter& segmenter = *checkpoint.segmenter;
  const json common = json::parse(kCommon);
  cache::Backbone backbone;
  backbone.features = [&](const at::Tensor& batch) { return segmenter.backbone(batch); };
  backbone.channels = segmenter.backbone_channels();
  backbone.alignment = segmenter.alignment();
  backbone.digest = cache::weights_digest(segmenter, segmenter.backbone_prefix());
  const cache::CacheJob caching{dataset, job.images, job.input, job.view, common.at("cache").get<cache::CacheConfig>(),
                                kSeed, {}};
  const std::string features = folder_ / "features.h5";
  cache::cache_features(caching, backbone, cache::plan_features(caching, backbone, io::Provenance("test", {}).to_json()),
                        features, false);
  job.features = {features};

  const auto store = cache::FeatureStore::open(job.features);
  const uniq::MineJob mining{dataset, store, segmenter, job.input, common.at("mine").get<uniq::MineConfig>(), kSeed,
                             c10::kCPU, {}};
  uniq::NegativesTable table = uniq::mine_negatives(mining);
  io::Provenance provenance("test", {});
  provenance.add_file("annotations", job.annotations);
  table.provenance = provenance.to_json().dump();
  job.negatives = {folder_ / "negatives.h5"};
  uniq::write_negatives(job.negatives.front(), table);
}

std::vector<json> StepSetting::train(const std::string& name, bool resume) const {
  const std::string run = folder_ / name;
  train::train(job, run, resume, /*force=*/false, /*dry_run=*/false);
  std::ifstream in(run + "/metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) {
    json value = json::parse(line);
    if (value.contains("losses")) lines.push_back(std::move(value));
  }
  return lines;
}

}  // namespace iuq::test
