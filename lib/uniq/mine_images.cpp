#include "lib/uniq/mine_images.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/data/annotations.h"
#include "lib/io/image_names.h"
#include "lib/model/segmenter.h"
#include "lib/uniq/best_queries.h"

namespace iuq::uniq {

ImageStream::ImageStream(const MineJob& job, std::vector<int64_t> indices)
    : job_(job), indices_(std::move(indices)), loaded_(indices_.size(), [this](size_t n) { return load(indices_[n]); }) {}

std::optional<LoadedImage> ImageStream::next() {
  if (loaded_.done()) return std::nullopt;
  return loaded_.next();
}

LoadedImage ImageStream::load(int64_t index) const {
  const int64_t id = job_.dataset.images()[static_cast<size_t>(index)].id;
  LoadedImage image{job_.store.read(id, 0),
                    view::load_truth(job_.dataset, index, job_.input, job_.input.short_side.back(), false)};
  const view::Size canvas = view::round_up(image.scene.valid, job_.input.divisor);
  if (!(canvas == image.view.canvas && image.scene.valid == image.view.valid)) {
    throw Error(ErrorCode::kBadData,
                cat("image ", io::image_text(id), " is cached at ", image.view.valid.height, "x", image.view.valid.width,
                    ", but section \"input\" resizes it to ", image.scene.valid.height, "x", image.scene.valid.width,
                    "; use the config that the cache was made with"));
  }
  return image;
}

EncodedImage encode(const MineJob& job, const LoadedImage& image) {
  model::FeaturePyramid levels;
  for (const at::Tensor& level : image.view.levels) levels.push_back(level.unsqueeze(0).to(job.device));
  EncodedImage out;
  out.encoded = job.segmenter.encode(levels, {image.view.canvas, {image.view.valid}});
  out.queries = job.segmenter.assign(out.encoded, {image.scene.truth});
  out.best = best_queries(out.queries, 0, image.scene.truth.count());
  return out;
}

}  // namespace iuq::uniq
