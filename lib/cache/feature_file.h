#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/shard.h"
#include "lib/io/hdf5.h"

// The tables of features.h5, that is all but the features themselves: see FORMAT.md. Needs no LibTorch, so that every tool can
// look into a cache.
namespace iuq::cache {

inline constexpr const char* kFeatureMagic = "iuq.features";
inline constexpr int64_t kFeatureSchema = 1;

/// One view of one image.
struct FeatureRow {
  int64_t image_id = 0;
  int64_t view = 0;                    // 0..views-1; 0 is the image as it is
  int64_t bucket = 0;                  // index in FeatureTables::canvases
  int64_t row = 0;                     // in the datasets of that bucket
  int64_t valid_height = 0, valid_width = 0;  // the resized image on the canvas of view 0, without padding
  std::array<double, 6> transform{};   // as a view transform: sx, ox, sy, oy, canvas height, canvas width
  uint64_t checksum = 0;               // see row_checksum; 0: not written yet
};

/// Everything in a features file but the features. Rows come image by image in the order of the dataset, the views of an
/// image together and ascending; rows of a bucket are numbered in that order.
struct FeatureTables {
  std::string provenance;              // JSON
  std::string backbone;                // digest of the backbone's weights
  std::string alignment;               // "strided" or "patch"
  io::DType dtype = io::DType::kF16;
  int64_t views = 0;
  int64_t images_total = 0;            // of all shards
  Shard shard;
  std::vector<int64_t> strides;        // per level, in input pixels
  std::vector<int64_t> channels;       // per level
  std::vector<std::array<int64_t, 2>> canvases;  // height and width in input pixels, multiples of every stride
  std::vector<FeatureRow> rows;
  std::string content_digest;          // empty: not complete

  /// [C, H, W] of a level on a canvas.
  std::vector<int64_t> level_shape(int64_t bucket, size_t level) const;
  int64_t rows_in(int64_t bucket) const;
  /// Bytes of the features.
  int64_t feature_bytes() const;
};

/// "buckets/640x960/level0"
std::string level_name(const FeatureTables& tables, int64_t bucket, size_t level);

/// Checksum of a row from the XXH3-64 of the bytes of each of its levels; never 0.
uint64_t row_checksum(const std::vector<uint64_t>& level_hashes);

/// Digest of the rows and their checksums, in the order of (image id, view). Where in the file a row is stored does not enter, so
/// that shards together have the digest of one file.
std::string content_digest_of(const std::vector<const FeatureTables*>& shards);

/// Writes the tables and makes the datasets, still to be filled and closed; the checksums and the content digest are as
/// in `tables`.
io::Hdf5File create_feature_file(const std::string& path, const FeatureTables& tables, int gzip);

/// Reads and checks everything but the features and whether it is complete. Error(kBadData).
FeatureTables read_feature_tables(const io::Hdf5File& file);

/// Error(kBadData) unless the file is complete and its tables have the digest it states.
void check_complete(const FeatureTables& tables, const std::string& path);

/// Reads one row and checks it against its checksum. `levels` gets the stored bytes of each level.
/// Error(kBadData) naming file, image and view.
class FeatureRowReader {
 public:
  FeatureRowReader(const io::Hdf5File& file, const FeatureTables& tables);
  void read(const FeatureRow& row, const std::vector<void*>& levels) const;
  /// The same into memory of its own.
  std::vector<std::vector<char>> read(const FeatureRow& row) const;

 private:
  std::string path_;
  std::vector<std::vector<io::Hdf5Rows>> rows_;  // by bucket and level
};

}  // namespace iuq::cache
