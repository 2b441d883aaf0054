#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/prefetcher.h"
#include "lib/model/batch.h"
#include "lib/uniq/mine.h"
#include "lib/view/sample.h"

namespace iuq::uniq {

/// View 0 of an image and its instances.
struct LoadedImage {
  cache::StoredView view;
  view::Sample scene;  // ground truth only
};

/// Images of the dataset in the given order, each read while the one before is worked on. `job` must outlive it.
class ImageStream {
 public:
  ImageStream(const MineJob& job, std::vector<int64_t> indices);
  /// Nothing at the end. Error(kBadData) when the cache's image has another size than the config gives it.
  std::optional<LoadedImage> next();

 private:
  LoadedImage load(int64_t index) const;

  const MineJob& job_;
  const std::vector<int64_t> indices_;
  Prefetcher<LoadedImage> loaded_;
};

/// What the segmenter makes of one image.
struct EncodedImage {
  model::Encoded encoded;     // B = 1
  model::Queries queries;     // all of the image
  std::vector<int64_t> best;  // per instance, its best-scoring query; -1 without one
};

EncodedImage encode(const MineJob& job, const LoadedImage& image);

}  // namespace iuq::uniq
