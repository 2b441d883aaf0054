#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "lib/base/config_fields.h"
#include "lib/cache/feature_store.h"
#include "lib/data/image_check.h"
#include "lib/uniq/negatives.h"
#include "lib/view/input.h"

namespace iuq::data {
class Dataset;
}
namespace iuq::model {
class Segmenter;
}

namespace iuq::uniq {

/// Section "mine" of the config. fields() says what each field means.
struct MineConfig {
  int64_t negatives_per_instance = 16;
  int64_t scenes_per_image = 8;
  int64_t pixels_per_instance = 0;

  static constexpr const char* kSection = "mine";
  ConfigFields fields();
  void check() const;
};

struct MineJob {
  const data::Dataset& dataset;
  const cache::FeatureStore& store;  // view 0 of it is mined
  model::Segmenter& segmenter;       // on `device`, in eval mode
  view::InputConfig input;           // the cache's
  MineConfig mine;
  uint64_t seed = 0;                 // stream (seed, "mine", instance id) when pixels_per_instance is set
  c10::Device device = c10::kCPU;
  Shard shard;                       // of the queries; all pixels are looked at by every shard
  int64_t max_errors = 0;            // images that may be absent from the cache, as iuq-cache left them out
};

/// The images that are mined: those that the cache has, of known size. Warns of the others. Error(kBadData) unless cache,
/// segmenter and dataset belong together.
data::UsableImages check_mine_job(const MineJob& job);

/// Exact hard negatives: each instance's best-scoring query against the instance pixels of all other images, with the
/// segmenter's own pixel_logits. Two passes over the cache: queries, then pixels; memory is that of the queries, their
/// K pixels, and one block of pixels. An instance without query has no entry, but its pixels are candidates.
///
/// Images are grouped into blocks of about 256 instances, and a shard owns whole blocks: the matrix products are the
/// same in shards and in one run, and so is the result.
/// Errors: kBadData when cache and dataset do not belong together; kInterrupted, nothing is kept.
NegativesTable mine_negatives(const MineJob& job);

}  // namespace iuq::uniq
