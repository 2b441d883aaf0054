#include "lib/train/trainer.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/progress.h"
#include "lib/base/rng.h"
#include "lib/base/signals.h"
#include "lib/cache/cache_features.h"
#include "lib/cache/feature_store.h"
#include "lib/data/annotations.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/io/safetensors.h"
#include "lib/model/checkpoint.h"
#include "lib/nn/stochastic.h"
#include "lib/train/batch_source.h"
#include "lib/train/metrics.h"
#include "lib/train/optimizer.h"
#include "lib/train/run_folder.h"
#include "lib/uniq/equivariance.h"
#include "lib/uniq/inter_scene.h"
#include "lib/uniq/memory.h"
#include "lib/uniq/negatives.h"

namespace iuq::train {
namespace {

using nlohmann::json;

io::Provenance provenance_of(const TrainJob& job, const cache::FeatureStore* store, const uniq::Negatives* negatives) {
  json config = {{"train", job.train}, {"uniq", job.uniq}, {"view", job.view}, {"input", job.input},
                 {"model", job.model}, {"seed", job.seed}, {"source", store ? "features" : "images"}};
  io::Provenance provenance("iuq-train", config);
  provenance.add_file("annotations", job.annotations);
  if (!job.weights.empty()) {
    const json chain = model::weights_provenance(job.weights);
    if (chain.is_object()) {
      provenance.add_artifact("weights", chain, io::content_digest(io::read_safetensors(job.weights)));
    } else {
      provenance.add_file("weights", job.weights);
    }
  }
  if (store) provenance.add_artifact("features", store->provenance());
  if (negatives) provenance.add_artifact("negatives", json::parse(negatives->provenance()));
  return provenance;
}

/// One run: the model, its optimiser, the memory, and the loop over them.
class Trainer {
 public:
  Trainer(const TrainJob& job, const data::Dataset& dataset, std::shared_ptr<const cache::FeatureStore> store,
          std::shared_ptr<const uniq::Negatives> negatives, const io::Provenance& provenance, RunFolder& folder);
  void run();

 private:
  void load_initial_weights();
  void take_features();
  void resume_from(const std::string& checkpoint);
  BatchPlan plan(const BatchSource& source) const;
  void step(const Batch& batch);
  void add_uniq_terms(const Batch& batch, const model::FeaturePyramid& features, const model::Encoded& encoded,
                      const model::Queries& queries, model::Losses& terms);
  void check_finite(const Batch& batch) const;
  void write_line(double seconds);
  void save_checkpoint();
  void write_model(const std::string& path) const;

  const TrainJob& job_;
  const data::Dataset& dataset_;
  std::shared_ptr<const cache::FeatureStore> store_;
  std::shared_ptr<const uniq::Negatives> negatives_;
  json provenance_;
  RunFolder& folder_;
  view::InputConfig input_;
  std::shared_ptr<model::Segmenter> segmenter_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<uniq::PixelMemory> memory_;
  MetricsWindow window_;
  int64_t step_ = 0;  // steps done
};

Trainer::Trainer(const TrainJob& job, const data::Dataset& dataset, std::shared_ptr<const cache::FeatureStore> store,
                 std::shared_ptr<const uniq::Negatives> negatives, const io::Provenance& provenance, RunFolder& folder)
    : job_(job), dataset_(dataset), store_(std::move(store)), negatives_(std::move(negatives)),
      provenance_(provenance.to_json()), folder_(folder), input_(job.input) {
  segmenter_ = model::make_segmenter(job.model, static_cast<int64_t>(dataset.categories().size()), job.seed);
  load_initial_weights();
  if (store_) take_features();
  const auto checkpoint = folder_.latest_checkpoint();
  if (checkpoint) model::load_weights(*segmenter_, *checkpoint + "/model.safetensors", {}, input_);
  segmenter_->to(job_.device);
  segmenter_->train();
  optimizer_ = std::make_unique<Optimizer>(job_.train, *segmenter_);
  if (checkpoint) resume_from(*checkpoint);
}

void Trainer::load_initial_weights() {
  if (job_.weights.empty()) return;
  model::check_strides(job_.weights, job_.model);
  const auto missing = model::load_weights(*segmenter_, job_.weights, job_.train.skip_weights, input_);
  log::info(cat("weights: \"", job_.weights, "\", ", missing.size(), " tensors stay at their random start",
                missing.empty() ? "" : cat(" (first: ", missing.front(), ")")));
}

// Features in the place of the backbone: they must be this backbone's, which then stays as it is.
void Trainer::take_features() {
  const std::string digest = cache::weights_digest(*segmenter_, segmenter_->backbone_prefix());
  if (digest != store_->backbone_digest()) {
    throw Error(ErrorCode::kBadData, "the features come from another backbone than --weights holds; cache them again "
                                     "with this model, or train from the model they were cached with");
  }
  for (const auto& item : segmenter_->named_parameters()) {
    if (item.key().rfind(segmenter_->backbone_prefix(), 0) == 0) item.value().set_requires_grad(false);
  }
}

void Trainer::resume_from(const std::string& checkpoint) {
  const TrainState state = folder_.load_state(checkpoint);
  step_ = state.step;
  optimizer_->set_state(state.optimizer);
  for (const auto& [name, tensor] : state.memory) {
    if (name != "embeddings") continue;
    memory_ = std::make_unique<uniq::PixelMemory>(job_.uniq.memory, tensor.size(1), job_.device);
    memory_->set_state(state.memory);
  }
  window_ = MetricsWindow(state.window);
  folder_.rewind_metrics(step_);
  log::info(cat("resuming after step ", step_));
}

BatchPlan Trainer::plan(const BatchSource& source) const {
  const std::vector<int64_t> images = data::training_images(dataset_, job_.train.drop_empty);
  IUQ_ASSERT(!images.empty());
  Confusable confusable;
  if (negatives_ && job_.uniq.batching == "mined") {
    confusable = [this](int64_t image) {
      std::vector<int64_t> others;
      for (const auto& scene : negatives_->of_image(dataset_.images()[static_cast<size_t>(image)].id)) {
        const int64_t index = dataset_.image_index(scene.image_id);
        if (index >= 0) others.push_back(index);
      }
      return others;
    };
  }
  data::EpochSampler sampler(images, job_.seed, data::repeat_factors(dataset_, images, job_.train.repeat_threshold));
  return BatchPlan(std::move(sampler), [&source](int64_t image) { return source.bucket_of(image); },
                   job_.train.pairs ? job_.train.batch / 2 : job_.train.batch, std::move(confusable));
}

void Trainer::add_uniq_terms(const Batch& batch, const model::FeaturePyramid& features, const model::Encoded& encoded,
                             const model::Queries& queries, model::Losses& terms) {
  const double ramp = job_.uniq.ramp_at(step_);
  if (job_.uniq.uses_memory()) {
    uniq::HardPixels hard;
    if (negatives_) {
      hard = [&](size_t image, int64_t instance) {
        const view::ViewTransform& g = batch.to_view[image];
        std::vector<std::pair<float, float>> pixels;
        for (const uniq::HardPixel& pixel : negatives_->within_instance(instance)) {
          pixels.emplace_back(static_cast<float>(g.x.scale * static_cast<double>(pixel.x) + g.x.offset),
                              static_cast<float>(g.y.scale * static_cast<double>(pixel.y) + g.y.offset));
        }
        return pixels;
      };
    }
    const uniq::PixelBatch fresh = uniq::sample_pixels(*segmenter_, encoded.mask_features, batch.truth, queries,
                                                       job_.uniq, hard, job_.seed, step_);
    if (!memory_) {
      memory_ = std::make_unique<uniq::PixelMemory>(job_.uniq.memory, encoded.mask_features.size(1), job_.device);
    }
    memory_->push(fresh, step_);  // first, so that the other images of this batch are among the negatives
    if (ramp > 0) {
      std::vector<int64_t> ids;
      for (const view::GroundTruth& truth : batch.truth) ids.push_back(truth.image_id);
      const at::Tensor image_id = torch::tensor(ids, at::kLong).to(job_.device).index_select(0, queries.image);
      terms.emplace_back("inter", ramp * job_.uniq.inter_weight *
                                      uniq::inter_scene_loss(*segmenter_, queries, image_id, memory_->entries(),
                                                             job_.uniq, job_.seed, step_));
    }
  }
  if (job_.uniq.equi_weight > 0 && ramp > 0) {
    terms.emplace_back("equi", ramp * job_.uniq.equi_weight *
                                   uniq::equivariance_loss(*segmenter_, {features, encoded, queries, batch.truth, batch.pairs},
                                                           job_.uniq));
  }
}

void Trainer::step(const Batch& batch) {
  // Whatever the step draws at random depends on nothing but it, so that a resumed run draws the same.
  const uint64_t draw = Rng(job_.seed, "step", static_cast<uint64_t>(step_)).next();
  nn::seed_modules_(*segmenter_, draw);
  model::FeaturePyramid features = batch.features;
  if (features.empty()) features = segmenter_->backbone(batch.images);
  model::Frame frame = batch.frame;
  frame.draw = draw;
  const model::Encoded encoded = segmenter_->encode(features, frame);
  const model::Queries queries = segmenter_->assign(encoded, batch.truth);
  model::Losses terms = segmenter_->base_losses(encoded, queries, batch.truth);
  add_uniq_terms(batch, features, encoded, queries, terms);
  at::Tensor total = terms.front().second;
  for (size_t i = 1; i < terms.size(); ++i) total = total + terms[i].second;
  optimizer_->zero_grad();
  total.backward();
  const at::Tensor norm = optimizer_->step(step_);
  window_.add(terms, norm, static_cast<int64_t>(batch.truth.size()));
  ++step_;
}

void Trainer::check_finite(const Batch& batch) const {
  if (window_.is_finite()) return;
  std::string ids;
  for (const view::GroundTruth& truth : batch.truth) ids += cat(ids.empty() ? "" : " ", truth.image_id);
  throw Error(ErrorCode::kBadData, cat("the loss is not finite at step ", step_, " (", window_.text(), "), images ", ids,
                                       "; lower train.lr, lengthen train.warmup, or look at these images"));
}

void Trainer::write_line(double seconds) {
  const double rate = static_cast<double>(window_.images()) / std::max(seconds, 1e-9);
  json line = window_.take();
  line["step"] = step_;
  line["lr"] = job_.train.lr_at(step_ - 1);
  line["memory"] = memory_ ? memory_->fill() : 0;
  line["images_per_second"] = rate;
  line["seconds"] = seconds;
  folder_.append_metrics(line);
}

void Trainer::run() {
  const SourceOptions options{dataset_, job_.images, input_, job_.view, job_.train, segmenter_->alignment(), job_.seed};
  const auto source = store_ ? cached_source(options, store_) : image_source(options);
  const int64_t steps = job_.train.steps;
  Loader loader(*source, plan(*source), step_, steps, job_.threads);
  Progress progress(steps, "step", step_);
  using Clock = std::chrono::steady_clock;
  Clock::time_point since = Clock::now();
  bool begun = false;
  while (step_ < steps) {
    const Batch batch = to_device(loader.next(), job_.device);
    if (!begun) folder_.begin();
    begun = true;
    step(batch);
    const bool logs = step_ % job_.train.log_every == 0 || step_ == steps;
    if (logs || job_.device.is_cpu()) check_finite(batch);
    if (logs) {
      progress.update(step_, window_.text());
      write_line(std::chrono::duration<double>(Clock::now() - since).count());
      since = Clock::now();
    }
    const bool stops = stop_requested() && step_ < steps;
    if (step_ % job_.train.checkpoint_every == 0 || stops) save_checkpoint();
    if (stops) throw_if_stopped("run the same command with --resume to go on");
  }
  if (!begun) folder_.begin();  // a run that was killed between its last checkpoint and here has nothing left to do
  write_model(folder_.model_path());
}

void Trainer::save_checkpoint() {
  TrainState state{step_, optimizer_->state(), {}, window_.saved()};
  if (memory_) state.memory = memory_->state();
  folder_.save_checkpoint(state, provenance_, job_.train.keep_checkpoints,
                          [this](const std::string& path) { write_model(path); });
}

void Trainer::write_model(const std::string& path) const {
  model::save_checkpoint(path, *segmenter_, job_.model, input_, dataset_.categories(), provenance_);
}

void check_job(const TrainJob& job) {
  if (job.uniq.equi_weight > 0 && !job.train.pairs) {
    throw Error(ErrorCode::kConfig, "config: \"uniq.equi_weight\" needs \"train.pairs\": true");
  }
  if (job.features.empty() && job.images.empty()) {
    throw Error(ErrorCode::kUsage, "give --images, or --features of iuq-cache");
  }
  if (!job.features.empty() && job.input.lsj.size > 0) {
    throw Error(ErrorCode::kConfig, "config: \"input.lsj\" cannot act on cached features; set input.lsj.size to 0");
  }
  if (job.uniq.batching == "mined" && job.negatives.empty()) {
    throw Error(ErrorCode::kUsage, "\"uniq.batching\" is \"mined\": give --negatives of iuq-mine");
  }
}

// Pixels mined for other instances would be taken for this run's hard ones.
void check_negatives(const uniq::Negatives& negatives, const io::Provenance& provenance, const TrainJob& job) {
  const std::string mined = io::input_digest(json::parse(negatives.provenance()), "annotations");
  if (mined == io::input_digest(provenance.to_json(), "annotations")) return;
  throw Error(ErrorCode::kBadData, cat("the negatives were mined with other annotations than \"", job.annotations,
                                       "\"; mine again with these"));
}

}  // namespace

bool train(const TrainJob& job, const std::string& output, bool resume, bool force, bool dry_run) {
  check_job(job);
  const data::Dataset dataset = data::Dataset::load(job.annotations, job.threads);
  std::shared_ptr<const cache::FeatureStore> store;
  if (!job.features.empty()) store = std::make_shared<cache::FeatureStore>(cache::FeatureStore::open(job.features));
  std::shared_ptr<const uniq::Negatives> negatives;
  if (!job.negatives.empty()) negatives = std::make_shared<uniq::Negatives>(uniq::Negatives::load(job.negatives));
  const io::Provenance provenance = provenance_of(job, store.get(), negatives.get());
  if (negatives) check_negatives(*negatives, provenance, job);
  RunFolder folder(output);
  if (data::training_images(dataset, job.train.drop_empty).empty()) {
    throw Error(ErrorCode::kBadData, cat("\"", job.annotations, "\" has no image with instances to train on"));
  }
  if (dry_run) {
    if (!force && folder.prepare(provenance, resume, force)) return false;
    log::info(cat("would train ", job.train.steps, " steps of ", job.train.batch, " images on ", dataset.images().size(),
                  " images into \"", output, "\"; digest ", provenance.digest()));
    return true;
  }
  if (folder.prepare(provenance, resume, force)) return false;
  Trainer(job, dataset, store, negatives, provenance, folder).run();
  return true;
}

}  // namespace iuq::train
