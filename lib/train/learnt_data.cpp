#include "lib/train/learnt_data.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/data/image.h"
#include "lib/data/image_check.h"
#include "lib/data/sampler.h"
#include "lib/train/trainer.h"

namespace iuq::train {
namespace {

using nlohmann::json;

// How many pixels one pixel of the image becomes at most.
double largest_growth(const TrainJob& job, const data::Image& image) {
  const auto& input = job.input;
  const bool jitters = input.lsj.size > 0;
  const int64_t side = *std::max_element(input.short_side.begin(), input.short_side.end());
  const auto [height, width] = data::fit_size(image.height, image.width, jitters ? input.lsj.size : side,
                                              jitters ? input.lsj.size : input.long_side);
  const double resized = static_cast<double>(height * width) / static_cast<double>(image.height * image.width);
  const double jitter = jitters ? input.lsj.max_scale * input.lsj.max_scale : 1;
  return resized * jitter * (job.view.resize ? 1 / job.view.min_area : 1);
}

}  // namespace

LearntData LearntData::of(const TrainJob& job, const data::Dataset& dataset, const data::UsableImages& usable) {
  LearntData learnt;
  learnt.images = std::ssize(usable.images);
  learnt.unusable_images = std::ssize(usable.left);
  learnt.empty_images =
      std::ssize(dataset.images()) - std::ssize(data::training_images(dataset, job.train.drop_empty));
  for (const int64_t index : usable.images) {
    const data::Image& image = dataset.images()[static_cast<size_t>(index)];
    const double growth = largest_growth(job, image);
    for (const data::Annotation& annotation : dataset.annotations_of(image)) {
      const bool small = annotation.area * growth < static_cast<double>(job.train.min_pixels);
      ++(annotation.crowd ? learnt.crowds : small ? learnt.small_instances : learnt.instances);
    }
  }
  for (const json& kind : dataset.faults().to_json(io::FaultReader::kTraining)) {
    learnt.faults[kind.at("kind").get<std::string>()] = kind.at("records");
  }
  return learnt;
}

void LearntData::report(const TrainJob& job, const data::Dataset& dataset) const {
  if (empty_images > 0) {
    log::info(cat(empty_images, " of ", dataset.images().size(), " images have no instances and are left out (train.drop_empty)"));
  }
  if (small_instances == 0) return;
  const std::string what = cat("\"", job.annotations, "\": ", small_instances, " of ", small_instances + instances,
                               " instances have fewer than ", job.train.min_pixels,
                               " pixels (train.min_pixels) at the largest size of the input");
  if (instances == 0) throw Error(ErrorCode::kBadData, cat(what, ", so there is nothing to train on"));
  log::warning(cat(what, " and are not learnt"));
}

json LearntData::to_json() const {
  return {{"images", images}, {"instances", instances}, {"empty_images", empty_images}, {"unusable_images", unusable_images},
          {"small_instances", small_instances}, {"crowds", crowds}, {"faults", faults}};
}

}  // namespace iuq::train
