#include "lib/train/trainer.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/progress.h"
#include "lib/cache/cache_features.h"
#include "lib/cache/feature_store.h"
#include "lib/data/annotations.h"
#include "lib/data/image_check.h"
#include "lib/data/sampler.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/io/safetensors.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "lib/train/batch_source.h"
#include "lib/train/diagnostics.h"
#include "lib/train/foreign_pixels.h"
#include "lib/train/learnt_data.h"
#include "lib/train/loop.h"
#include "lib/train/loss.h"
#include "lib/train/metrics.h"
#include "lib/train/mined.h"
#include "lib/train/optimizer.h"
#include "lib/train/run_folder.h"
#include "lib/train/state.h"
#include "lib/train/step.h"
#include "lib/uniq/negatives.h"

namespace iuq::train {
namespace {

using nlohmann::json;

io::Provenance provenance_of(const TrainJob& job, const cache::FeatureStore* store, const uniq::Negatives* negatives,
                             const data::UsableImages& usable) {
  json config = {{"train", job.train}, {"uniq", job.uniq}, {"view", job.view}, {"input", job.input},
                 {"model", job.model}, {"seed", job.seed}, {"source", store ? "features" : "images"}};
  if (!usable.left.empty()) config["left_out"] = usable.left_out();
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

// Why nothing can be learnt of any image.
std::string why_nothing(const data::Dataset& dataset) {
  const auto& all = dataset.annotations();
  if (all.empty()) return dataset.faults().empty() ? "; its list \"annotations\" is empty" : "; none of its annotations is left";
  return cat(": all of its ", all.size(), " annotations are crowds, which are not learnt; if they are single objects, as those that ",
             "annotation tools write as run lengths, set their \"iscrowd\" to 0");
}

// The images to train on, at least one. A subset is counted among those that can train.
std::vector<int64_t> images_of(const TrainJob& job, const data::Dataset& dataset) {
  const std::vector<int64_t> all = data::training_images(dataset, job.train.drop_empty);
  if (all.empty()) {
    throw Error(ErrorCode::kBadData, cat("\"", job.annotations, "\" has no image with instances to train on", why_nothing(dataset)));
  }
  if (job.train.images == 0) return all;
  const auto wanted = static_cast<size_t>(job.train.images);
  if (wanted > all.size()) {
    throw Error(ErrorCode::kConfig, cat("config: \"train.images\" is ", wanted, ", but \"", job.annotations, "\" has ",
                                        all.size(), " images to train on; 0 takes all"));
  }
  return data::nested_subset(dataset, all, job.train.images);
}

// The steps done, as a checkpoint states them.
int64_t steps_of(const SavedPart& saved, int64_t most) {
  const bool whole = saved.value.is_number_integer() && saved.value >= 0 && saved.value <= most;
  if (!whole) throw Error(ErrorCode::kBadData, cat("\"step\" is ", saved.value.dump(), ", not an integer in 0..", most));
  return saved.value;
}

MetricsWindow window_of(const SavedPart& saved) {
  if (!saved.value.is_string()) throw Error(ErrorCode::kBadData, "\"window\" is not a text");
  return MetricsWindow(saved.value.get<std::string>());
}

// As it is at step 0. Cached features must be those of its backbone.
std::shared_ptr<model::Segmenter> initial_segmenter(const TrainJob& job, const data::Dataset& dataset,
                                                    const cache::FeatureStore* store, view::InputConfig& input) {
  auto segmenter = model::make_segmenter(job.model, static_cast<int64_t>(dataset.categories().size()), job.seed);
  if (!job.weights.empty()) {
    model::check_strides(job.weights, job.model);
    const auto missing = model::load_weights(*segmenter, job.weights, {job.train.skip_weights, &job.model}, input);
    log::info(cat("weights: \"", job.weights, "\", ", missing.size(), " tensors stay at their random start",
                  missing.empty() ? "" : cat(" (first: ", missing.front(), ")")));
  }
  if (store && cache::weights_digest(*segmenter, segmenter->backbone_prefix()) != store->backbone_digest()) {
    throw Error(ErrorCode::kBadData, "the features come from another backbone than this model has; cache them again "
                                     "with this model, or train from the model they were cached with");
  }
  return segmenter;
}

/// One run, put together: what the step needs, what a checkpoint keeps, and what happens every so many steps.
class Trainer {
 public:
  /// `images`: indices of those to train on.
  Trainer(const TrainJob& job, const data::Dataset& dataset, std::vector<int64_t> images,
          std::shared_ptr<const cache::FeatureStore> store, std::shared_ptr<const uniq::Negatives> negatives,
          const LearntData& learnt, const io::Provenance& provenance, RunFolder& folder);
  void run();

 private:
  void freeze_backbone();
  void begin();
  void list_state();
  StateFile model_file();
  BatchPlan plan(const BatchSource& source) const;
  void add_hooks(Loop& loop, MetricsLog& log, Progress& progress);
  void save_checkpoint(const Moment& at) const;
  void write_model(const std::string& path) const;

  const TrainJob& job_;
  const data::Dataset& dataset_;
  const std::vector<int64_t> images_;
  std::shared_ptr<const cache::FeatureStore> store_;
  std::shared_ptr<const uniq::Negatives> negatives_;
  const LearntData learnt_;
  json provenance_;
  RunFolder& folder_;
  view::InputConfig input_;
  std::shared_ptr<model::Segmenter> segmenter_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<ForeignPixels> foreign_;  // null unless a term uses the memory
  MetricsWindow window_;
  json diagnosis_;  // of the step at hand, if it is due
  int64_t step_ = 0;  // steps done
  State state_;
};

Trainer::Trainer(const TrainJob& job, const data::Dataset& dataset, std::vector<int64_t> images,
                 std::shared_ptr<const cache::FeatureStore> store, std::shared_ptr<const uniq::Negatives> negatives,
                 const LearntData& learnt, const io::Provenance& provenance, RunFolder& folder)
    : job_(job), dataset_(dataset), images_(std::move(images)), store_(std::move(store)), negatives_(std::move(negatives)),
      learnt_(learnt), provenance_(provenance.to_json()), folder_(folder), input_(job.input) {
  if (!folder.accepted().empty()) provenance_.at("entries").back()["accepted_changes"] = folder.accepted();
  segmenter_ = initial_segmenter(job, dataset, store_.get(), input_);
  if (store_) freeze_backbone();
  segmenter_->to(job_.device);
  segmenter_->train();
  optimizer_ = std::make_unique<Optimizer>(job_.train, *segmenter_);
  if (job_.uniq.uses_memory()) {
    foreign_ = std::make_unique<ForeignPixels>(job_.uniq, negatives_.get(), job_.device, job_.seed);
  }
  list_state();
  if (const auto checkpoint = folder_.latest_checkpoint()) {
    state_.load(*checkpoint);
    folder_.rewind_metrics(step_);
    log::info(cat("resuming after step ", step_));
  }
}

// Cached features are those of this very backbone, which so stays as it is.
void Trainer::freeze_backbone() {
  for (const auto& item : segmenter_->named_parameters()) {
    if (item.key().rfind(segmenter_->backbone_prefix(), 0) == 0) item.value().set_requires_grad(false);
  }
}

StateFile Trainer::model_file() {
  return {.name = "model",
          .tensors =
              [this] {
                NamedTensors all;
                for (const auto& item : segmenter_->named_parameters()) all.emplace_back(item.key(), item.value());
                for (const auto& item : segmenter_->named_buffers()) all.emplace_back(item.key(), item.value());
                return all;
              },
          .write = [this](const std::string& path) { write_model(path); },
          .read =
              [this](const std::string& path) {
                const auto missing = model::load_weights(*segmenter_, path, model::LoadOptions(), input_);
                if (missing.empty()) return;
                throw Error(ErrorCode::kBadData, cat("\"", path, "\": tensor \"", missing.front(), "\" is missing"));
              }};
}

// Everything a resumed run must find as it was. To keep one more thing, add it here.
void Trainer::list_state() {
  state_.add(model_file());
  state_.add({.name = "step",  // the position in the schedules, the batch plan and all random streams
              .save = [this] { return SavedPart{{}, step_}; },
              .load = [this](const SavedPart& saved) { step_ = steps_of(saved, job_.train.steps); }});
  state_.add({.name = "optimizer",
              .save = [this] { return SavedPart{optimizer_->state(), nullptr}; },
              .load = [this](const SavedPart& saved) { optimizer_->set_state(saved.tensors); },
              .may_be_empty = job_.train.optimizer == "sgd" && job_.train.momentum == 0});
  if (foreign_) {
    state_.add({.name = "memory",
                .save = [this] { return SavedPart{foreign_->state(), nullptr}; },
                .load = [this](const SavedPart& saved) { foreign_->set_state(saved.tensors); }});
  }
  state_.add({.name = "window",  // the metrics since the last line
              .save = [this] { return SavedPart{{}, window_.saved()}; },
              .load = [this](const SavedPart& saved) { window_ = window_of(saved); }});
}

BatchPlan Trainer::plan(const BatchSource& source) const {
  IUQ_ASSERT(!images_.empty());
  HardScenes hard;
  if (negatives_ && job_.uniq.batching == "mined") hard = hard_scenes(*negatives_, dataset_);
  data::EpochSampler sampler(images_, job_.seed, data::repeat_factors(dataset_, images_, job_.train.repeat_threshold));
  return BatchPlan(std::move(sampler), [&source](int64_t image) { return source.bucket_of(image); },
                   job_.train.pairs ? job_.train.batch / 2 : job_.train.batch, std::move(hard));
}

// The metrics begin with what the run learns from; a resumed run says it again only where the data have changed.
void Trainer::begin() {
  if (folder_.begin()) folder_.append_data(step_, learnt_.to_json());
}

void Trainer::run() {
  const SourceOptions options{dataset_, job_.images, input_, job_.view, job_.train, segmenter_->alignment(), job_.seed};
  const auto source = store_ ? cached_source(options, store_) : image_source(options);
  const std::vector<LossTerm> terms = loss_terms(*segmenter_, job_.uniq, foreign_.get(), job_.seed);
  Step step(*segmenter_, *optimizer_, terms, job_.seed);
  Loader loader(*source, plan(*source), step_, job_.train.steps, job_.threads);
  Progress progress(job_.train.steps, "step", step_);
  MetricsLog log(window_);
  Loop loop(step_, job_.train.steps, job_.stop);
  add_hooks(loop, log, progress);
  const Step::Look look = [&](const Forward& pass, const std::vector<LossValue>& losses) {
    diagnosis_ = diagnose(*segmenter_, pass, losses, foreign_.get(), job_.uniq, job_.seed);
  };
  loop.run([&](int64_t number) {
    const Batch batch = to_device(loader.next(), job_.device);
    begin();
    const bool due = job_.diagnose_every > 0 && (number + 1) % job_.diagnose_every == 0;
    return step.take(batch, number, due ? look : Step::Look());
  });
  begin();  // a run that was killed between its last checkpoint and here has nothing left to do
  state_.check_finite();
  write_model(folder_.model_path());
}

// What happens every so many steps, in this order. To add a line to the metrics, add a field to `log`.
void Trainer::add_hooks(Loop& loop, MetricsLog& log, Progress& progress) {
  log.add("lr", [this](int64_t step) { return job_.train.lr_at(step - 1); });
  log.add("memory", [this](int64_t) { return foreign_ ? foreign_->fill() : 0; });

  loop.add({}, [this](const Moment& at) {
    step_ = at.step;
    window_.add(at.result);
  });
  // On another device than the CPU a check has to wait for it, so there it is made when a line is written or a checkpoint.
  const int64_t check_every = job_.device.is_cpu() ? 1 : job_.train.log_every;
  loop.add({.every = check_every, .at_end = true},
           [this](const Moment& at) { window_.check_finite(at.step, at.result.image_ids); });
  if (job_.diagnose_every > 0) {  // before the losses of the same step, which a reader expects in the last line
    loop.add({.every = job_.diagnose_every}, [this](const Moment& at) {
      folder_.append_metrics({{"step", at.step}, {"diagnostics", diagnosis_}});
    });
  }
  loop.add({.every = job_.train.log_every, .at_end = true}, [this, &log, &progress](const Moment& at) {
    progress.update(at.step, window_.text());
    folder_.append_metrics(log.line(at.step));
  });
  loop.add({.every = job_.train.checkpoint_every, .on_stop = true}, [this](const Moment& at) { save_checkpoint(at); });
}

void Trainer::save_checkpoint(const Moment& at) const {
  window_.check_finite(at.step, at.result.image_ids);
  folder_.save_checkpoint(at.step, job_.train.keep_checkpoints, [&](const std::string& folder) {
    try {
      state_.save(folder, provenance_.at("digest").get<std::string>());
    } catch (const Error& e) {
      throw e.with(cat("in the checkpoint after step ", at.step));
    }
  });
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
  if (job.train.images > 0 && !job.negatives.empty()) {
    throw Error(ErrorCode::kConfig, "config: \"train.images\" takes some of the images, but --negatives were mined among all; "
                                    "mine and train with an annotations file of the images wanted");
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
  const data::Dataset dataset = data::Dataset::load(
      job.annotations, {.threads = job.threads, .strict = job.strict, .images = job.images});
  std::shared_ptr<const cache::FeatureStore> store;
  if (!job.features.empty()) store = std::make_shared<cache::FeatureStore>(cache::FeatureStore::open(job.features));
  std::shared_ptr<const uniq::Negatives> negatives;
  if (!job.negatives.empty()) negatives = std::make_shared<uniq::Negatives>(uniq::Negatives::load(job.negatives));
  const std::vector<int64_t> wanted = images_of(job, dataset);
  const data::UsableImages usable = store ? store->usable_images(dataset, wanted, job.max_errors)
                                          : data::usable_images(dataset, job.images, wanted, job.max_errors, job.threads);
  const io::Provenance provenance = provenance_of(job, store.get(), negatives.get(), usable);
  if (store) store->warn_of_other_annotations(provenance.to_json());
  if (negatives) check_negatives(*negatives, provenance, job);
  RunFolder folder(output);
  if (usable.images.empty()) {
    throw Error(ErrorCode::kBadData, cat("none of the ", wanted.size(), " images of \"", job.annotations, "\" can be used"));
  }
  const RunInputs inputs = RunInputs::of(dataset, usable.images, store ? "" : job.images, job.threads);
  const LearntData learnt = LearntData::of(job, dataset, usable);
  learnt.report(job, dataset);
  if (dry_run) {
    if (!force && folder.prepare(provenance, inputs, resume, force, job.accept_changes)) return false;
    view::InputConfig input = job.input;
    initial_segmenter(job, dataset, store.get(), input);  // its errors are those of the run
    log::info(cat("would train ", job.train.steps, " steps of ", job.train.batch, " images on ", usable.images.size(),
                  " images into \"", output, "\"; digest ", provenance.digest()));
    return true;
  }
  if (folder.prepare(provenance, inputs, resume, force, job.accept_changes)) return false;
  Trainer(job, dataset, usable.images, store, negatives, learnt, provenance, folder).run();
  return true;
}

}  // namespace iuq::train
