#include "lib/infer/predict.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/prefetcher.h"
#include "lib/base/progress.h"
#include "lib/base/signals.h"
#include "lib/cache/feature_store.h"
#include "lib/cache/cache_features.h"
#include "lib/data/annotations.h"
#include "lib/data/image_check.h"
#include "lib/infer/merge.h"
#include "lib/infer/predictor.h"
#include "lib/infer/results_writer.h"
#include "lib/io/provenance.h"
#include "lib/model/segmenter.h"

// Threads: those of a Prefetcher read images or features; the network, the results and the log belong to the calling thread.

namespace iuq::infer {
namespace {

constexpr size_t kImagesAhead = 2;  // read at once, each on a thread: a small network is faster than one thread that decodes

// What one image needs before it goes through the network.
struct Input {
  int64_t index = 0;
  view::Sample scene;         // image mode
  cache::StoredView stored;    // cached mode
  cache::StoredView mirrored;  // cached mode, with flip_test
};

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Results are in the model's categories. A file may list some of them only, or others that no result will have; but one id or
// one name must not mean two things, or the results would be judged by the wrong category.
void check_categories(const data::Dataset& dataset, const model::Checkpoint& checkpoint, const PredictJob& job) {
  std::map<int64_t, std::string> name_of;
  std::map<std::string, int64_t> id_of;
  for (const auto& have : checkpoint.categories) {
    name_of[have.id] = have.name;
    id_of.emplace(in_lower_case(have.name), have.id);
  }
  size_t shared = 0, spelt = 0;
  std::string conflicts;
  for (const data::Category& want : dataset.categories()) {
    const auto by_id = name_of.find(want.id);
    const auto by_name = id_of.find(in_lower_case(want.name));
    const bool same = by_id != name_of.end() && in_lower_case(by_id->second) == in_lower_case(want.name);
    shared += same;
    spelt += same && by_id->second != want.name;
    if (same) continue;
    if (by_id != name_of.end()) {
      conflicts += cat("\n        id ", want.id, " is \"", want.name, "\" there and \"", by_id->second, "\" in the model");
    } else if (by_name != id_of.end()) {
      conflicts += cat("\n        \"", want.name, "\" has the id ", want.id, " there and ", by_name->second, " in the model");
    }
  }
  if (!conflicts.empty() || shared == 0) {
    throw Error(ErrorCode::kBadData, cat("\"", job.model, "\" knows ", name_of.size(), " categories that are not the ",
                                         dataset.categories().size(), " of \"", job.annotations, "\" (ids and names must agree)",
                                         conflicts, conflicts.empty() ? "" : "\n        give the file the model's ids and names, or "
                                                                             "train with the file's"));
  }
  const size_t listed = dataset.categories().size();
  if (shared == listed && shared == name_of.size() && spelt == 0) return;
  log::warning(cat("\"", job.annotations, "\" lists ", listed, " categories, of which the model knows ", shared, " of its ",
                   name_of.size(), "; results are in the model's categories",
                   spelt > 0 ? cat("; ", spelt, " are spelt in other cases") : ""));
}

// A checkpoint states its own model, which counts, whatever the config says.
void warn_of_other_model(const PredictJob& job, const model::Checkpoint& checkpoint) {
  model::effective_model_config(job.segmenter);  // throws for unknown keys
  nlohmann::json wanted = checkpoint.model;
  wanted.merge_patch(job.segmenter);
  const nlohmann::json differences = nlohmann::json::diff(checkpoint.model, wanted);
  if (differences.empty()) return;
  log::warning(cat("\"", job.model, "\" keeps its own section \"model\"; the config's differs at \"model",
                   differences.front().at("path").get<std::string>(), "\" and is not used"));
}

io::Provenance provenance_of(const PredictJob& job, const model::Checkpoint& checkpoint,
                             const cache::FeatureStore* store, const nlohmann::json& left_out) {
  nlohmann::json config = {{"predict", job.predict},
                           {"model", checkpoint.model},
                           {"input", checkpoint.input},
                           {"shard", {job.shard.index, job.shard.count}},
                           {"source", store ? "features" : "images"}};
  if (!left_out.empty()) config["left_out"] = left_out;
  io::Provenance provenance("iuq-predict", config);
  provenance.add_file("annotations", job.annotations);
  provenance.add_artifact("model", checkpoint.provenance, checkpoint.content);
  if (store) provenance.add_artifact("features", store->provenance());
  return provenance;
}

Input load_input(const PredictJob& job, const data::Dataset& dataset, const view::InputConfig& input,
                 const cache::FeatureStore* store, int64_t index) {
  Input in;
  in.index = index;
  const data::Image& image = dataset.images()[static_cast<size_t>(index)];
  if (store) {
    in.stored = store->read(image.id, 0);
    if (job.predict.flip_test) in.mirrored = store->read(image.id, 1);
  } else {
    in.scene = view::load_image(dataset, index, job.images, input, input.short_side.back());
  }
  return in;
}

// What the network finds in an image; with flip_test in its mirror image as well, merged.
std::vector<Detection> find(const PredictJob& job, const Input& in, view::Size original, Predictor& predictor, bool cached) {
  const int64_t most = job.predict.max_detections;
  const view::Size canvas = cached ? in.stored.canvas : view::Size{in.scene.image.size(1), in.scene.image.size(2)};
  const view::Size valid = cached ? in.stored.valid : in.scene.valid;
  const Framing plain{valid, original, view::ViewTransform::identity(canvas)};
  auto found = cached ? predictor.detect_features(in.stored.levels, plain, most) : predictor.detect(in.scene.image, plain, most);
  if (!job.predict.flip_test) return found;
  const Framing flipped{valid, original, predictor.mirror(canvas)};
  if (cached && nlohmann::json(in.mirrored.transform) != nlohmann::json(flipped.view)) {
    throw Error(ErrorCode::kBadData, "view 1 of the cached features is not the mirrored image, which the flip test needs");
  }
  auto mirrored = cached ? predictor.detect_features(in.mirrored.levels, flipped, most)
                         : predictor.detect(flipped.view.apply_image(in.scene.image), flipped, most);
  return merge_detections(std::move(found), std::move(mirrored), job.predict.flip_iou, most);
}

void run(const PredictJob& job, const data::Dataset& dataset, const std::vector<int64_t>& category_ids,
         Predictor& predictor, Prefetcher<Input>& inputs, const cache::FeatureStore* store, ResultsWriter& writer, PredictReport& report) {
  Progress progress(static_cast<int64_t>(inputs.count()), "image");
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < inputs.count(); ++i) {
    throw_if_stopped("nothing was written; run the same command again");
    std::vector<Detection> found;
    int64_t index = 0;
    try {
      const Input in = inputs.next();
      index = in.index;
      const data::Image& image = dataset.images()[static_cast<size_t>(index)];
      found = find(job, in, {image.height, image.width}, predictor, store != nullptr);
    } catch (const Error& e) {
      if (++report.failed > job.max_errors) throw;
      log::warning(cat("skipped: ", e.what()));
      continue;
    }
    const data::Image& image = dataset.images()[static_cast<size_t>(index)];
    for (const Detection& detection : found) {
      if (detection.score < job.predict.score_threshold) continue;
      writer.add(image.name.empty() ? nlohmann::json(image.id) : nlohmann::json(image.name),
                 category_ids[static_cast<size_t>(detection.category)], detection);
    }
    ++report.images;
    progress.update(static_cast<int64_t>(i) + 1);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

ConfigFields PredictConfig::fields() {
  return {
      {"max_detections", &max_detections, "detections per image, at most; 300 for LVIS", Range::at_least(1)},
      {"score_threshold", &score_threshold, "detections below are not written", Range::closed(0, 1)},
      {"short_side", &short_side, "shorter image side in pixels, 32..8192; 0: the checkpoint's last",
       Range::closed(0, 8192)},
      {"long_side", &long_side, "upper bound of the longer side in pixels; 0: the checkpoint's", Range::at_least(0)},
      {"flip_test", &flip_test, "look at each image a second time, mirrored, and merge both"},
      {"flip_iou", &flip_iou, "with flip_test: of two masks of a category that overlap more the worse is dropped",
       Range::left_open(0, 1)},
  };
}

void PredictConfig::check() const {
  check_ranges(*this);
  check_config(short_side == 0 || short_side >= 32, "predict.short_side", short_side, "0 or 32..8192");
}

PredictReport predict(const PredictJob& job, const std::string& output, bool force, bool dry_run) {
  if (job.images.empty() && job.features.empty()) {
    throw Error(ErrorCode::kUsage, "give --images, or --features of iuq-cache");
  }
  if (!job.features.empty() && job.predict.short_side + job.predict.long_side > 0) {
    throw Error(ErrorCode::kUsage, "the size of cached features is settled; --short-side needs --images alone");
  }
  const data::Dataset dataset = data::Dataset::load(
      job.annotations,
      {.threads = at::get_num_threads(), .strict = job.strict, .images = job.images, .needs_annotations = false});
  model::Checkpoint checkpoint =
      job.segmenter.empty() || model::is_checkpoint(job.model)
          ? model::load_checkpoint(job.model)
          : model::assemble_checkpoint(job.model, job.segmenter, job.input, dataset.categories());
  if (!job.segmenter.empty()) warn_of_other_model(job, checkpoint);
  check_categories(dataset, checkpoint, job);
  std::unique_ptr<cache::FeatureStore> store;
  if (!job.features.empty()) {
    store = std::make_unique<cache::FeatureStore>(cache::FeatureStore::open(job.features));
    if (cache::weights_digest(*checkpoint.segmenter, checkpoint.segmenter->backbone_prefix()) != store->backbone_digest()) {
      throw Error(ErrorCode::kBadData, cat("the features come from another backbone than that of \"", job.model, "\""));
    }
    if (job.predict.flip_test && store->views() < 2) {
      throw Error(ErrorCode::kBadData, "the flip test needs the mirrored view; cache again with cache.views >= 2");
    }
  }
  view::InputConfig input = checkpoint.input;
  if (job.predict.short_side > 0 && job.predict.long_side == 0 && job.predict.short_side > input.long_side) {
    throw Error(ErrorCode::kConfig, cat("config: \"predict.short_side\" is ", job.predict.short_side, ", above the model's ",
                                        "\"input.long_side\" ", input.long_side, "; set predict.long_side as well"));
  }
  if (job.predict.short_side > 0) input.short_side = {job.predict.short_side};
  if (job.predict.long_side > 0) input.long_side = job.predict.long_side;
  input.check();
  std::vector<int64_t> images;  // of the shard
  for (int64_t i = 0; i < std::ssize(dataset.images()); ++i) {
    if (job.shard.owns(i)) images.push_back(i);
  }
  const data::UsableImages usable =
      store ? store->usable_images(dataset, images, job.max_errors)
            : data::usable_images(dataset, job.images, images, job.max_errors, at::get_num_threads());
  io::Provenance provenance = provenance_of(job, checkpoint, store.get(), usable.left_out());
  if (store) store->warn_of_other_annotations(provenance.to_json());
  PredictReport report;
  report.failed = std::ssize(usable.left);
  report.up_to_date = io::is_up_to_date(output, io::read_sidecar(output), provenance, force);
  if (report.up_to_date) return report;
  if (dry_run) {
    log::info(cat("would predict on the images of \"", job.annotations, "\" into \"", output, "\""));
    return report;
  }
  std::vector<int64_t> category_ids;
  for (const auto& category : checkpoint.categories) category_ids.push_back(category.id);
  Predictor predictor(std::move(checkpoint), job.device);
  const auto load = [&](size_t n) { return load_input(job, dataset, input, store.get(), usable.images[n]); };
  Prefetcher<Input> inputs(usable.images.size(), load, kImagesAhead, kImagesAhead);
  ResultsWriter writer(output);
  run(job, dataset, category_ids, predictor, inputs, store.get(), writer, report);
  writer.finish();
  io::write_sidecar(output, provenance);
  report.detections = writer.count();
  return report;
}

}  // namespace iuq::infer
