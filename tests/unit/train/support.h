#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/cache/cache_features.h"
#include "lib/cache/feature_store.h"
#include "lib/data/annotations.h"
#include "lib/io/provenance.h"
#include "lib/model/segmenter.h"
#include "lib/train/batch_source.h"
#include "lib/train/trainer.h"
#include "lib/uniq/negatives.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_dataset.h"
#include "tests/unit/uniq/support.h"

// A training run that takes well under a second, and its pieces.
namespace iuq::test {

/// Six images of 64 x 64 with two instances each, ids 100, 103, ...; a SOLOv2 of 16 channels; six steps of two pairs with
/// both terms of the method, which rise from step 1 to step 3.
struct TinyRun {
  TempFolder folder;
  train::TrainJob job;

  TinyRun() {
    log::set_up("test", log::Level::kQuiet);
    io::drop_volatile_provenance();  // so that files of equal runs have equal bytes
    write_tiny_dataset(folder.path(), std::vector<std::pair<int64_t, int64_t>>(6, {64, 64}));
    job.annotations = folder / "annotations.json";
    job.images = folder.path();
    job.model = model::effective_model_config(tiny_model());
    job.input.short_side = {64};
    job.input.long_side = 64;
    job.train.steps = 6;
    job.train.batch = 4;
    job.train.pairs = true;
    job.train.optimizer = "adamw";
    job.train.lr = 0.002;
    job.train.schedule = "cosine";
    job.train.warmup = 2;
    job.train.log_every = 3;
    job.train.checkpoint_every = 100;
    job.uniq.inter_weight = 0.5;
    job.uniq.equi_weight = 3;
    job.uniq.start = 1;
    job.uniq.ramp = 2;
    job.uniq.memory = 60;
    job.uniq.pixels_per_instance = 5;
    job.stop = [] { return false; };
  }

  /// From here on with cached features of three views, mined negatives, and batches by them.
  void use_cache() {
    const auto dataset = data::Dataset::load(job.annotations);
    const auto segmenter = model::make_segmenter(job.model, 2, job.seed);
    cache::Backbone backbone;
    backbone.features = [&](const at::Tensor& images) { return segmenter->backbone(images); };
    backbone.channels = segmenter->backbone_channels();
    backbone.alignment = segmenter->alignment();
    backbone.digest = cache::weights_digest(*segmenter, segmenter->backbone_prefix());
    cache::CacheConfig config;
    config.views = 3;
    config.dtype = "float32";
    const cache::CacheJob cached{dataset, job.images, job.input, job.view, config, job.seed, {}};
    cache::cache_features(cached, backbone, cache::plan_features(cached, backbone, io::Provenance("test", {}).to_json()),
                          folder / "features.h5", false);
    job.features = {folder / "features.h5"};
    write_ring_of_negatives();
    job.negatives = {folder / "negatives.h5"};
    job.uniq.batching = "mined";
    job.images.clear();
  }

  /// Each image is confused with the next one of the file, and each instance with the pixel at the middle of an instance
  /// there.
  void write_ring_of_negatives() const {
    const auto dataset = data::Dataset::load(job.annotations);
    io::Provenance provenance("test", {});
    provenance.add_file("annotations", job.annotations);
    uniq::NegativesTable table;
    table.provenance = provenance.to_json().dump();
    table.per_instance = 2;
    table.per_image = 1;
    for (size_t i = 0; i < dataset.images().size(); ++i) {
      const data::Image& image = dataset.images()[i];
      const data::Image& next = dataset.images()[(i + 1) % dataset.images().size()];
      table.images.push_back({image.id, {{next.id, 0.5}}});
      for (const data::Annotation& annotation : dataset.annotations_of(image)) {
        const data::Annotation& other = dataset.annotations_of(next).front();
        const auto middle = [&](size_t axis) {  // on the grid of the mask features
          return 4 * static_cast<int64_t>((other.box[axis] + other.box[axis + 2] / 2) / 4);
        };
        table.instances.push_back({annotation.id, image.id, {{next.id, other.id, middle(0), middle(1), 0.75F}}});
      }
    }
    uniq::write_negatives(folder / "negatives.h5", table);
  }

  bool run(const std::string& output, bool resume = false) const {
    return train::train(job, folder / output, resume, /*force=*/false, /*dry_run=*/false);
  }
};

/// What a step needs, for tests that go below train().
struct Pieces {
  data::Dataset dataset;
  std::shared_ptr<model::Segmenter> segmenter;
  std::shared_ptr<cache::FeatureStore> store;     // null without features
  std::shared_ptr<uniq::Negatives> negatives;     // null without negatives
  std::unique_ptr<train::BatchSource> source;

  explicit Pieces(const train::TrainJob& job)
      : dataset(data::Dataset::load(job.annotations)), segmenter(model::make_segmenter(job.model, 2, job.seed)) {
    segmenter->train();
    const train::SourceOptions options{dataset,   job.images, job.input, job.view,
                                       job.train, segmenter->alignment(), job.seed};
    if (!job.negatives.empty()) negatives = std::make_shared<uniq::Negatives>(uniq::Negatives::load(job.negatives));
    if (!job.features.empty()) store = std::make_shared<cache::FeatureStore>(cache::FeatureStore::open(job.features));
    source = store ? train::cached_source(options, store) : train::image_source(options);
  }
};

/// The message of the Error that `f` throws, which must have this code.
inline std::string refusal(ErrorCode code, const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(e.code() == code);
    return e.what();
  }
  FAIL("nothing was thrown");
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace iuq::test
