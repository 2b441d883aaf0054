#include "lib/cache/feature_writer.h"

#include <sys/stat.h>
#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/atomic_file.h"
#include "lib/io/image_names.h"

namespace iuq::cache {
namespace {

at::ScalarType scalar_type(io::DType dtype) {
  return dtype == io::DType::kF16 ? at::kHalf : dtype == io::DType::kBF16 ? at::kBFloat16 : at::kFloat;
}

// Bytes of the file that have no blocks on the disk yet.
int64_t unallocated_bytes(const std::string& path) {
  struct stat stat {};
  if (::stat(path.c_str(), &stat) != 0) return 0;
  return std::max<int64_t>(0, stat.st_size - 512 * static_cast<int64_t>(stat.st_blocks));
}

void rename_and_sync(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    throw Error(ErrorCode::kIo, cat("cannot rename \"", from, "\" to \"", to, "\""));
  }
  io::sync_path(io::folder_of(to));
}

std::string digest_in(const std::string& provenance) { return nlohmann::json::parse(provenance).at("digest"); }

// The same rows in the same ranges, whatever is written in them.
bool same_plan(const FeatureTables& a, const FeatureTables& b) {
  bool same = digest_in(a.provenance) == digest_in(b.provenance) && a.shard.index == b.shard.index &&
              a.shard.count == b.shard.count && a.dtype == b.dtype && a.backbone == b.backbone &&
              a.rows.size() == b.rows.size() && a.canvases == b.canvases && a.channels == b.channels;
  for (size_t n = 0; same && n < a.rows.size(); ++n) {
    same = a.rows[n].image_id == b.rows[n].image_id && a.rows[n].bucket == b.rows[n].bucket &&
           a.rows[n].transform == b.rows[n].transform;
  }
  return same;
}

}  // namespace

std::string readable_bytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit < 5; ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

void check_space(const std::string& path, int64_t bytes) {
  const int64_t free = io::free_bytes(path);
  if (bytes <= free) return;
  throw Error(ErrorCode::kIo, cat("\"", path, "\" needs ", readable_bytes(bytes), " more, but only ",
                                  readable_bytes(free), " are free there; cache fewer views (cache.views), smaller "
                                  "images (input.short_side), or write shards to several disks"));
}

FeatureWriter::FeatureWriter(std::string path, FeatureTables plan, int gzip, bool resume)
    : path_(std::move(path)), tables_(std::move(plan)), gzip_(gzip) {
  const std::string partial = partial_path(path_);
  const bool fresh = !io::exists(partial);
  if (!fresh && !resume) {
    throw Error(ErrorCode::kCannotCreate, cat("\"", partial, "\" is left from an interrupted run; pass --resume to go "
                                              "on with it, or --force to begin anew"));
  }
  const int64_t packed = gzip_ > 0 ? tables_.feature_bytes() : 0;
  if (fresh) {
    check_space(path_, tables_.feature_bytes() + packed);
    io::AtomicFile file(partial);
    create_feature_file(file.temp_path(), tables_, 0).close();
    file.commit();
  }
  try {
    start(resume && !fresh);
    if (!fresh) check_space(path_, unallocated_bytes(partial) + packed);
    patcher_->reserve();
  } catch (const Error&) {
    if (fresh) std::filesystem::remove(partial);
    throw;
  }
}

FeatureWriter::~FeatureWriter() {
  try {
    flush();  // an error in one image must not lose the images before it
  } catch (const Error&) {
    // What could not be written is computed again on resume.
  }
}

void FeatureWriter::start(bool resume) {
  const std::string partial = partial_path(path_);
  patcher_ = std::make_unique<io::Hdf5Patcher>(partial);
  const io::Hdf5File file = io::Hdf5File::open(partial);
  if (resume) {
    FeatureTables found = read_feature_tables(file);
    if (!same_plan(found, tables_)) {
      throw Error(ErrorCode::kCannotCreate, cat("\"", partial, "\" was begun with another config, model or dataset; "
                                                "remove it, or pass --force to begin anew"));
    }
    found.content_digest.clear();
    tables_ = std::move(found);
  }
  checksums_ = file.byte_range("checksums");
  digest_ = file.byte_range("content_digest");
  for (int64_t bucket = 0; bucket < static_cast<int64_t>(tables_.canvases.size()); ++bucket) {
    auto& levels = ranges_.emplace_back();
    for (size_t level = 0; level < tables_.strides.size(); ++level) {
      levels.push_back(file.byte_range(level_name(tables_, bucket, level)));
    }
  }
}

Error FeatureWriter::resumable(const Error& error) const {
  return error.with(cat("what is done stays in \"", partial_path(path_), "\"; make room and run again with --resume"));
}

void FeatureWriter::write(int64_t index, const std::vector<at::Tensor>& levels) {
  FeatureRow& row = tables_.rows[static_cast<size_t>(index)];
  IUQ_ASSERT(levels.size() == tables_.strides.size());
  std::vector<uint64_t> hashes;
  for (size_t level = 0; level < levels.size(); ++level) {
    const std::vector<int64_t> shape = tables_.level_shape(row.bucket, level);
    if (levels[level].sizes() != at::IntArrayRef(shape)) {
      throw Error(ErrorCode::kInternal, cat("the backbone gave level ", level, " of image ", io::image_text(row.image_id), " the shape ",
                                            levels[level].sizes(), " where ", at::IntArrayRef(shape), " is expected"));
    }
    const at::Tensor stored = levels[level].to(scalar_type(tables_.dtype)).to(at::kCPU).contiguous();
    if (!at::isfinite(stored).all().item<bool>()) {
      throw Error(ErrorCode::kBadData, cat("the features of image ", io::image_text(row.image_id), ", level ", level,
                                           " are not finite as stored; if the backbone's values are larger than "
                                           "float16 can hold, set cache.dtype to \"bfloat16\""));
    }
    const size_t bytes = stored.nbytes();
    hashes.push_back(hash64(stored.data_ptr(), bytes));
    try {
      patcher_->write(ranges_[static_cast<size_t>(row.bucket)][level], row.row * static_cast<int64_t>(bytes),
                      stored.data_ptr(), bytes);
    } catch (const Error& error) {
      throw resumable(error);
    }
  }
  row.checksum = row_checksum(hashes);
  unflushed_.push_back(index);
}

void FeatureWriter::flush() {
  if (unflushed_.empty()) return;
  try {
    patcher_->sync();
    for (const int64_t index : unflushed_) {
      const uint64_t checksum = tables_.rows[static_cast<size_t>(index)].checksum;
      patcher_->write(checksums_, index * static_cast<int64_t>(sizeof checksum), &checksum, sizeof checksum);
    }
  } catch (const Error& error) {
    unflushed_.clear();  // they are not on the disk, and trying again would not help
    throw resumable(error);
  }
  unflushed_.clear();
}

void FeatureWriter::finish() {
  flush();
  for (const FeatureRow& row : tables_.rows) IUQ_ASSERT(row.checksum != 0);
  tables_.content_digest = content_digest_of({&tables_});
  const std::string partial = partial_path(path_);
  try {
    if (gzip_ > 0) {
      pack();
    } else {
      patcher_->write(digest_, 0, tables_.content_digest.data(), tables_.content_digest.size());
      patcher_->sync();
      rename_and_sync(partial, path_);
    }
  } catch (const Error& error) {
    throw resumable(error);
  }
}

// How many bytes a compressed row takes is only known once it is compressed, so these rows go to a file of their own, which only
// gets its name when it is whole. Killed here, the partial file still has all rows.
void FeatureWriter::pack() {
  log::info(cat("compressing \"", path_, "\""));
  io::AtomicFile packed(path_);
  {
    const io::Hdf5File source = io::Hdf5File::open(partial_path(path_));
    const FeatureRowReader reader(source, tables_);
    io::Hdf5File target = create_feature_file(packed.temp_path(), tables_, gzip_);
    std::vector<std::vector<io::Hdf5Rows>> rows;
    for (int64_t bucket = 0; bucket < static_cast<int64_t>(tables_.canvases.size()); ++bucket) {
      auto& levels = rows.emplace_back();
      for (size_t level = 0; level < tables_.strides.size(); ++level) {
        levels.push_back(target.rows(level_name(tables_, bucket, level)));
      }
    }
    for (const FeatureRow& row : tables_.rows) {
      const std::vector<std::vector<char>> bytes = reader.read(row);
      for (size_t level = 0; level < bytes.size(); ++level) {
        rows[static_cast<size_t>(row.bucket)][level].write(row.row, bytes[level].data());
      }
    }
    target.close();
  }
  packed.commit();
  std::filesystem::remove(partial_path(path_));
}

}  // namespace iuq::cache
