#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/base/shard.h"
#include "lib/cache/feature_file.h"
#include "lib/view/input.h"
#include "lib/view/transform.h"

namespace iuq::data {
class Dataset;
}
namespace iuq::io {
class Provenance;
}
namespace torch::nn {
class Module;
}

namespace iuq::cache {

/// Section "cache" of the config. fields() says what each field means.
struct CacheConfig {
  int64_t views = 4;
  std::string dtype = "float16";
  int64_t gzip = 0;
  int64_t batch = 0;

  static constexpr const char* kSection = "cache";
  ConfigFields fields();
  void check() const;
};

/// What is cached: any function from images to maps.
struct Backbone {
  /// [B, 3, Hi, Wi] float32 on the device -> level l [B, C_l, Hi/s_l, Wi/s_l] float32
  std::function<std::vector<at::Tensor>(const at::Tensor&)> features;
  std::vector<int64_t> channels;                 // C_l
  std::vector<int64_t> strides = {4, 8, 16, 32};  // s_l
  view::Alignment alignment = view::Alignment::kStrided;
  std::string digest;                            // of its weights, see weights_digest
  c10::Device device = c10::kCPU;
};

/// Which features: everything besides the backbone that their values depend on.
struct CacheJob {
  const data::Dataset& dataset;
  std::string images;  // folder
  view::InputConfig input;  // images are resized to the last of its sizes
  view::ViewConfig view;
  CacheConfig cache;
  uint64_t seed = 0;
  Shard shard;
  std::set<int64_t> left_out = {};  // indices of the images that cannot be read
};

/// The rows of this shard, with their views drawn; nothing is read or computed. View v >= 2 of an image is drawn from the
/// stream (seed, "view", image id, v), again if the image has it already, so it does not depend on shards or order.
FeatureTables plan_features(const CacheJob& job, const Backbone& backbone, const nlohmann::json& provenance);

/// Whether `output` is complete and of this provenance. With `force`, clears away what an interrupted run left.
/// Error(kCannotCreate) when it is there and another one, kBadData when it is damaged.
bool is_cached(const std::string& output, const io::Provenance& wanted, bool force);
/// One line: images, views, bytes, free space.
std::string describe_plan(const FeatureTables& plan, const std::string& output, int64_t gzip);

/// Computes what the plan says and writes features.h5. The views of an image go through the backbone together, and
/// never with those of another, so the result does not depend on shards. Another thread reads the next image meanwhile.
/// Errors: those of FeatureWriter, of data::read_image; kInterrupted after a signal, resumable.
void cache_features(const CacheJob& job, const Backbone& backbone, FeatureTables plan, const std::string& output,
                    bool resume);

/// Digest of the weights of `module` whose names begin with `prefix`, and of these names without it. Tells whether
/// features belong to a backbone.
std::string weights_digest(const torch::nn::Module& module, const std::string& prefix);

}  // namespace iuq::cache
