#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/shard.h"

namespace iuq::io {
class Provenance;
}

// negatives.h5: see FORMAT.md. Needs no LibTorch.
namespace iuq::uniq {

inline constexpr const char* kNegativesMagic = "iuq.negatives";
inline constexpr int64_t kNegativesSchema = 1;

/// A pixel of an instance in another scene.
struct HardPixel {
  int64_t image_id = 0;
  int64_t instance_id = 0;  // annotation id
  int64_t x = 0, y = 0;     // input pixels of view 0: cell of the mask features times their stride
  float score = 0;          // sigmoid of the logit that the query gives to it
  bool operator==(const HardPixel&) const = default;
};

/// A scene that the queries of an image confuse with their own.
struct ConfusableImage {
  int64_t image_id = 0;
  double score = 0;  // mean over the queries of their largest score in that scene
  bool operator==(const ConfusableImage&) const = default;
};

/// What mining found, as it lies in one file.
struct NegativesTable {
  struct Instance {
    int64_t instance_id = 0;
    int64_t image_id = 0;
    std::vector<HardPixel> pixels;  // at most `per_instance`, hardest first
  };
  struct Image {
    int64_t image_id = 0;
    std::vector<ConfusableImage> images;  // at most `per_image`, most confusable first
  };
  std::string provenance;  // JSON
  Shard shard;
  int64_t per_instance = 0;
  int64_t per_image = 0;
  std::vector<Instance> instances;
  std::vector<Image> images;

  /// Over all lists, as it is kept in the file.
  std::string content_digest() const;
};

/// Atomically. Errors: kCannotCreate, kIo.
void write_negatives(const std::string& path, const NegativesTable& table);
/// One file, checked as a whole. Errors: kNoInput; kBadData naming the file.
NegativesTable read_negatives(const std::string& path);
/// Whether `path` is there and of this provenance. Error(kCannotCreate) when it is another one and not `force`.
bool is_mined(const std::string& path, const io::Provenance& wanted, bool force);

/// All of a mining run, from one file or from shards.
class Negatives {
 public:
  /// Files, or folders of shards. Errors: those of read_negatives; kBadData when shards are missing or of different runs.
  static Negatives load(const std::vector<std::string>& paths);
  static Negatives load(const std::string& path) { return load(std::vector<std::string>{path}); }

  /// The scenes that an image is most confused with, most confusable first; empty for an image without queries.
  std::span<const ConfusableImage> of_image(int64_t image_id) const;
  /// The pixels of this instance that are hard for the query of some other instance, hardest first, each once with its largest
  /// score.
  std::span<const HardPixel> within_instance(int64_t instance_id) const;

  const std::string& provenance() const { return provenance_; }  // JSON

 private:
  void add_hard_pixels(const std::vector<HardPixel>& pixels);

  std::string provenance_;
  std::unordered_map<int64_t, std::vector<HardPixel>> within_;
  std::unordered_map<int64_t, std::vector<ConfusableImage>> of_image_;
};

}  // namespace iuq::uniq
