#include "lib/train/batch_source.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "lib/base/error.h"
#include "lib/base/prefetcher.h"
#include "lib/base/rng.h"
#include "lib/cache/feature_store.h"
#include "lib/data/annotations.h"
#include "lib/data/image.h"

namespace iuq::train {
namespace {

uint64_t key(int64_t value) { return static_cast<uint64_t>(value); }

// A pair (or single image) of a step gets its own random stream by its index in the batch, as an image may come twice.
Rng stream(const SourceOptions& options, const char* purpose, int64_t step, size_t index) {
  return Rng(options.seed, purpose, key(step), index);
}

int64_t bucket_number(view::Size canvas) { return canvas.height * 1000000 + canvas.width; }

class ImageSource : public BatchSource {
 public:
  explicit ImageSource(const SourceOptions& options) : options_(options) {}

  int64_t bucket_of(int64_t image) const override {
    if (options_.input.lsj.size > 0) return 0;
    const data::Image& entry = options_.dataset.images()[static_cast<size_t>(image)];
    return bucket_number(canvas_of(options_.input, {entry.height, entry.width}, options_.input.short_side.back()));
  }

  Batch make(const std::vector<int64_t>& images, int64_t step) const override {
    const auto& sides = options_.input.short_side;
    Rng size(options_.seed, "short side", key(step));
    const int64_t side = sides[static_cast<size_t>(size.below(static_cast<int64_t>(sides.size())))];
    std::vector<view::Sample> scenes;
    std::vector<view::Placement> placements;
    view::Size canvas;
    for (size_t i = 0; i < images.size(); ++i) {
      placements.push_back(draw_placement(images[i], side, step, i));
      scenes.push_back(
          view::load_sample(options_.dataset, images[i], options_.images, options_.input, placements.back()));
      canvas.height = std::max(canvas.height, scenes.back().image.size(1));
      canvas.width = std::max(canvas.width, scenes.back().image.size(2));
    }
    Batch batch;
    batch.frame.canvas = canvas;
    std::vector<at::Tensor> tensors;
    const auto add = [&](size_t i, const view::ViewTransform& g) {
      tensors.push_back(g.is_identity() ? scenes[i].image : g.apply_image(scenes[i].image));
      batch.truth.push_back(view::transform(scenes[i].truth, g, options_.train.min_pixels));
      batch.to_view.push_back(from_test_size(placements[i], options_.input, scenes[i].original).then(g));
      batch.frame.valid.push_back(g.is_identity() ? scenes[i].valid : canvas);
    };
    for (size_t i = 0; i < scenes.size(); ++i) {
      pad(scenes[i], canvas);
      placements[i].canvas = canvas;
      Rng rng = stream(options_, "augment", step, i);
      const bool augmented = !options_.train.pairs && rng.uniform() < options_.train.augment;
      add(i, augmented ? draw_view(options_.view, canvas, options_.alignment, rng)
                       : view::ViewTransform::identity(canvas));
    }
    for (size_t i = 0; options_.train.pairs && i < scenes.size(); ++i) {
      Rng rng = stream(options_, "pair", step, i);
      batch.pairs.push_back(draw_view(options_.view, canvas, options_.alignment, rng));
      add(i, batch.pairs.back());
    }
    batch.images = at::stack(tensors);
    return batch;
  }

 private:
  view::Placement draw_placement(int64_t image, int64_t side, int64_t step, size_t index) const {
    const data::Image& entry = options_.dataset.images()[static_cast<size_t>(image)];
    const bool mirror = stream(options_, "mirror", step, index).uniform() < options_.input.flip;
    if (options_.input.lsj.size == 0) {
      return view::plain_placement(options_.input, {entry.height, entry.width}, side, mirror);
    }
    Rng rng = stream(options_, "jitter", step, index);
    return view::draw_jitter(options_.input, {entry.height, entry.width}, mirror, rng);
  }

  // A bucket is a canvas size at the last of the short sides. At another of them the canvases of its images may differ by a
  // little, so all are padded to the largest.
  static void pad(view::Sample& scene, view::Size canvas) {
    const int64_t right = canvas.width - scene.image.size(2);
    const int64_t below = canvas.height - scene.image.size(1);
    if (right == 0 && below == 0) return;
    scene.image = at::constant_pad_nd(scene.image, {0, right, 0, below});
    scene.truth.masks = at::constant_pad_nd(scene.truth.masks, {0, right, 0, below});
  }

  SourceOptions options_;
};

class CachedSource : public BatchSource {
 public:
  CachedSource(const SourceOptions& options, std::shared_ptr<const cache::FeatureStore> store)
      : options_(options), store_(std::move(store)) {
    if (options_.train.pairs && store_->views() < 2) {
      throw Error(ErrorCode::kBadData, "pairs need at least two views per image; cache again with cache.views >= 2");
    }
  }

  int64_t bucket_of(int64_t image) const override {
    return bucket_number(store_->canvas(options_.dataset.images()[static_cast<size_t>(image)].id));
  }

  Batch make(const std::vector<int64_t>& images, int64_t step) const override {
    Batch batch;
    std::vector<std::vector<at::Tensor>> levels;
    const auto add = [&](int64_t image, int64_t number) {
      const data::Image& entry = options_.dataset.images()[static_cast<size_t>(image)];
      const cache::StoredView stored = store_->read(entry.id, number);
      const view::Sample scene = load_truth(options_.dataset, image, options_.input, options_.input.short_side.back(), false);
      if (!(scene.valid == stored.valid)) {
        throw Error(ErrorCode::kBadData, cat("the features of image ", entry.id_text(), " were cached at ", stored.valid.height, "x",
                                             stored.valid.width, " pixels, section \"input\" says ", scene.valid.height,
                                             "x", scene.valid.width, "; use the config they were cached with"));
      }
      levels.resize(stored.levels.size());
      for (size_t l = 0; l < stored.levels.size(); ++l) levels[l].push_back(stored.levels[l]);
      batch.truth.push_back(view::transform(scene.truth, stored.transform, options_.train.min_pixels));
      batch.to_view.push_back(stored.transform);
      batch.frame.canvas = stored.canvas;
      batch.frame.valid.push_back(stored.transform.is_identity() ? stored.valid : stored.canvas);
    };
    std::vector<int64_t> first, second;
    for (size_t i = 0; i < images.size(); ++i) {
      Rng rng = stream(options_, "views", step, i);
      const bool whole = !options_.train.pairs && rng.uniform() >= options_.train.augment;
      const auto drawn = rng.sample(store_->views(), 2);
      first.push_back(whole ? 0 : drawn.front());
      second.push_back(drawn.back());
    }
    for (size_t i = 0; i < images.size(); ++i) add(images[i], first[i]);
    for (size_t i = 0; options_.train.pairs && i < images.size(); ++i) {
      add(images[i], second[i]);
      batch.pairs.push_back(batch.to_view[i].inverse(batch.frame.canvas).then(batch.to_view.back()));
    }
    for (const auto& level : levels) batch.features.push_back(at::stack(level));
    return batch;
  }

 private:
  SourceOptions options_;
  std::shared_ptr<const cache::FeatureStore> store_;
};

}  // namespace

std::unique_ptr<BatchSource> image_source(const SourceOptions& options) { return std::make_unique<ImageSource>(options); }

std::unique_ptr<BatchSource> cached_source(const SourceOptions& options,
                                           std::shared_ptr<const cache::FeatureStore> store) {
  return std::make_unique<CachedSource>(options, std::move(store));
}

// Threads: next() belongs to the training loop; batches are made on those of the prefetcher, which call images_of().
// Invariant: the plan has been asked for the steps before next_step, in order; those not yet made are in `planned`.
// Locks: `mutex` guards plan, next_step and planned, and is held while an epoch is planned. BatchSource::make() runs
// without it.
struct Loader::State {
  State(const BatchSource& batch_source, BatchPlan batch_plan, int64_t first_step, int64_t last_step, size_t ahead)
      : source(batch_source), plan(std::move(batch_plan)), next_step(first_step),
        batches(static_cast<size_t>(std::max<int64_t>(0, last_step - first_step)),
                [this, first_step](size_t n) { return make(first_step + static_cast<int64_t>(n)); }, ahead, ahead) {}

  Batch make(int64_t step) { return source.make(images_of(step), step); }

  // A plan goes forward only, but a thread may ask for its step before another has asked for an earlier one.
  std::vector<int64_t> images_of(int64_t step) {
    const std::lock_guard lock(mutex);
    for (; next_step <= step; ++next_step) planned[next_step] = plan.at(next_step);
    return std::move(planned.extract(step).mapped());
  }

  const BatchSource& source;
  std::mutex mutex;
  BatchPlan plan;
  int64_t next_step;
  std::map<int64_t, std::vector<int64_t>> planned;  // step -> its images
  Prefetcher<Batch> batches;                        // last: its threads use all of the above
};

Loader::Loader(const BatchSource& source, BatchPlan plan, int64_t first_step, int64_t steps, int threads)
    : state_(std::make_unique<State>(source, std::move(plan), first_step, steps,
                                     static_cast<size_t>(std::clamp(threads, 1, 8)))) {}

Loader::~Loader() = default;

Batch Loader::next() { return state_->batches.next(); }

Batch to_device(Batch batch, c10::Device device) {
  if (batch.images.defined()) batch.images = batch.images.to(device);
  for (at::Tensor& level : batch.features) level = level.to(device);
  for (view::Instances& truth : batch.truth) {
    truth.labels = truth.labels.to(device);
    truth.masks = truth.masks.to(device);
  }
  return batch;
}

}  // namespace iuq::train
