#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/cache/feature_file.h"
#include "lib/data/image_check.h"
#include "lib/view/transform.h"

namespace iuq::cache {

/// The backbone's maps of one view of one image.
struct StoredView {
  std::vector<at::Tensor> levels;  // [C_l, H_l, W_l] float32 on the CPU, finest first
  view::ViewTransform transform;   // from the image as it is (view 0) to this view
  view::Size canvas;               // of this view; all views of an image share it
  view::Size valid;                // what the image fills of the canvas of view 0
};

/// The transform of a row, from numbers as features.h5 keeps them.
view::ViewTransform transform_of(const FeatureRow& row);

/// All features of a data set, in one file or in shards.
/// Threads: after open() nothing is written, so that any number of threads may read. They wait for each other only in io::Hdf5Rows,
/// and there for compressed rows alone.
class FeatureStore {
 public:
  /// `paths`: features files, or folders of shards, in any order. Errors: kNoInput; kBadData naming the file when one is
  /// damaged, incomplete, of another run than the others, or missing from the set.
  static FeatureStore open(const std::vector<std::string>& paths);

  /// Errors: kBadData when the image is not in the cache, or its features are damaged (naming file, image and view);
  /// kIo. 0 <= view < views().
  StoredView read(int64_t image_id, int64_t view) const;
  /// Of `wanted`, indices of the data set, those that the cache has. What iuq-cache left out with --max-errors may be absent
  /// here as well, up to `max_errors` images, with a warning. Error(kBadData) for more, and for an image that the cache does
  /// not know of.
  data::UsableImages usable_images(const data::Dataset& dataset, const std::vector<int64_t>& wanted, int64_t max_errors) const;
  bool has(int64_t image_id) const { return images_.count(image_id) > 0; }
  /// Canvas of an image, without reading its features.
  view::Size canvas(int64_t image_id) const;

  int64_t views() const { return shards_[0].tables.views; }
  int64_t image_count() const { return static_cast<int64_t>(images_.size()); }
  const std::vector<int64_t>& strides() const { return shards_[0].tables.strides; }
  const std::vector<int64_t>& channels() const { return shards_[0].tables.channels; }
  nlohmann::json provenance() const;
  /// Warns when `provenance`, of what is made with these features, names another annotations file than theirs: images are found
  /// by id, and an id may mean another image there.
  void warn_of_other_annotations(const nlohmann::json& provenance) const;
  /// See weights_digest: that of the backbone the features came out of.
  const std::string& backbone_digest() const { return shards_[0].tables.backbone; }
  /// Of all shards together; the same however the work was split.
  std::string content_digest() const;

 private:
  struct Shard {
    std::string path;
    FeatureTables tables;
    FeatureRowReader reader;
  };
  struct ImageRows {
    size_t shard = 0;
    size_t first = 0;  // row of view 0; the other views follow
  };
  const FeatureRow& row(const ImageRows& rows, int64_t view) const;
  const ImageRows& find(int64_t image_id) const;
  void check_together() const;

  std::vector<Shard> shards_;
  std::unordered_map<int64_t, ImageRows> images_;  // by image id
};

}  // namespace iuq::cache
