#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/cache/feature_file.h"

namespace iuq::cache {

/// Writes features.h5 so that a process that dies at any moment loses at most the rows since the last flush.
///
/// `X.h5.partial` gets its final size, tables and datasets before the first row is computed. Each row is then written into the
/// bytes that are its own; its checksum, which says that the row is complete, is written once the row is on the disk, and in the
/// order of the rows. Nothing else in the file changes, so a reader finds it whole after a kill at any moment. The partial file
/// is kept on errors because it can be resumed.
class FeatureWriter {
 public:
  /// `plan` has all rows, with checksum 0 and no content digest. With `resume`, goes on with a partial file of the same
  /// plan if there is one. `gzip` 1..9 packs the finished rows into a second file, which needs its space too.
  /// Errors: kIo with both numbers when the disk has not enough space; kCannotCreate when a partial file is in the way
  /// or another process writes it; kBadData when it is damaged.
  FeatureWriter(std::string path, FeatureTables plan, int gzip, bool resume);
  ~FeatureWriter();
  FeatureWriter(const FeatureWriter&) = delete;
  FeatureWriter& operator=(const FeatureWriter&) = delete;

  const FeatureTables& tables() const { return tables_; }
  /// Whether row `index` (of tables().rows) is on the disk.
  bool has(int64_t index) const { return tables_.rows[static_cast<size_t>(index)].checksum != 0; }
  /// levels: [C_l, H_l, W_l] float32 of row `index`. Errors: kIo; kBadData for values that are not finite when stored.
  void write(int64_t index, const std::vector<at::Tensor>& levels);
  /// What is written so far survives a kill, and a power failure.
  void flush();
  /// All rows are written: completes the file and gives it its name.
  void finish();

  static std::string partial_path(const std::string& path) { return path + ".partial"; }

 private:
  void start(bool resume);
  void pack();
  Error resumable(const Error& error) const;  // with a line that says how to go on

  std::string path_;
  FeatureTables tables_;
  int gzip_;
  std::unique_ptr<io::Hdf5Patcher> patcher_;
  std::vector<std::vector<io::Hdf5File::ByteRange>> ranges_;  // by bucket and level
  io::Hdf5File::ByteRange checksums_, digest_;
  std::vector<int64_t> unflushed_;  // rows whose checksum is not on the disk
};

/// Error(kIo) with both numbers unless `bytes` more fit on the disk that holds `path`.
void check_space(const std::string& path, int64_t bytes);
/// "12.3 GB"
std::string readable_bytes(int64_t bytes);

}  // namespace iuq::cache
