#include "lib/cache/feature_file.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/io/image_names.h"
#include "lib/io/provenance.h"

namespace iuq::cache {
using namespace nlohmann::literals;
namespace {

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

const char* dtype_name(io::DType dtype) {
  return dtype == io::DType::kF16 ? "float16" : dtype == io::DType::kBF16 ? "bfloat16" : "float32";
}

void read_header(const io::Hdf5File& file, FeatureTables& t) {
  const std::string& path = file.path();
  if (!file.has_attribute("magic") || file.text_attribute("magic") != kFeatureMagic) {
    bad(path, "is an HDF5 file, but not a feature cache (attribute magic is not \"iuq.features\")");
  }
  const int64_t schema = file.int_attribute("schema");
  if (schema != kFeatureSchema) {
    bad(path, cat("has schema ", schema, "; this program reads ", kFeatureSchema, ": make the cache anew"));
  }
  t.backbone = file.text_attribute("backbone");
  t.alignment = file.text_attribute("alignment");
  if (t.alignment != "strided" && t.alignment != "patch") bad(path, cat("unknown alignment \"", t.alignment, "\""));
  const std::string dtype = file.text_attribute("dtype");
  bool known = false;
  for (const io::DType d : {io::DType::kF16, io::DType::kBF16, io::DType::kF32}) {
    if (dtype != dtype_name(d)) continue;
    t.dtype = d;
    known = true;
  }
  if (!known) bad(path, cat("unknown dtype \"", dtype, "\""));
  t.views = file.int_attribute("views");
  t.images_total = file.int_attribute("images_total");
  t.shard = {file.int_attribute("shard_index"), file.int_attribute("shard_count")};
  if (t.views < 1 || t.views > 1024 || t.images_total < 0) bad(path, "has an impossible number of views or images");
  if (t.shard.count < 1 || t.shard.index < 0 || t.shard.index >= t.shard.count) bad(path, "has an impossible shard");
}

void read_shapes(const io::Hdf5File& file, FeatureTables& t) {
  constexpr int64_t kMost = 1 << 20;
  t.strides = file.read_table<int64_t>("strides", 1);
  t.channels = file.read_table<int64_t>("channels", 1, static_cast<int64_t>(t.strides.size()));
  const auto small = [](int64_t n) { return n >= 1 && n <= kMost; };
  const bool levels_ok = !t.strides.empty() && t.strides.size() <= 16 &&
                         std::all_of(t.strides.begin(), t.strides.end(), small) &&
                         std::all_of(t.channels.begin(), t.channels.end(), small);
  if (!levels_ok) bad(file.path(), "has impossible strides or channels");
  const std::vector<int64_t> canvases = file.read_table<int64_t>("canvases", 2);
  for (size_t b = 0; b < canvases.size(); b += 2) {
    t.canvases.push_back({canvases[b], canvases[b + 1]});
    for (const int64_t stride : t.strides) {
      if (!small(canvases[b]) || !small(canvases[b + 1]) || canvases[b] % stride || canvases[b + 1] % stride) {
        bad(file.path(), cat("has an impossible canvas ", canvases[b], "x", canvases[b + 1]));
      }
    }
  }
}

void check_row(const FeatureTables& t, size_t n, std::vector<int64_t>& next_row, const std::string& path) {
  const FeatureRow& row = t.rows[n];
  const auto views = static_cast<size_t>(t.views);
  const auto fail = [&](const char* what) { bad(path, cat("row ", n, " of the index ", what)); };
  if (row.bucket < 0 || row.bucket >= static_cast<int64_t>(t.canvases.size())) fail("names a bucket that is not there");
  if (row.view != static_cast<int64_t>(n % views)) fail("is out of order: views must be 0, 1, ... for each image");
  if (row.view > 0 && row.image_id != t.rows[n - 1].image_id) fail("belongs to another image than the row before");
  if (row.row != next_row[static_cast<size_t>(row.bucket)]++) fail("is not the next row of its bucket");
  const auto& canvas = t.canvases[static_cast<size_t>(row.bucket)];
  const bool valid = row.valid_height >= 1 && row.valid_width >= 1 && row.valid_height <= canvas[0] &&
                     row.valid_width <= canvas[1];
  if (!valid) fail("has a valid part that is not on its canvas");
  const bool finite = std::all_of(row.transform.begin(), row.transform.end(), [](double v) { return std::isfinite(v); });
  if (!finite || row.transform[0] == 0 || row.transform[2] == 0) fail("has an impossible transform");
  if (row.transform[4] != static_cast<double>(canvas[0]) || row.transform[5] != static_cast<double>(canvas[1])) {
    fail("has a transform to another canvas");
  }
}

void read_rows(const io::Hdf5File& file, FeatureTables& t) {
  const std::string& path = file.path();
  const std::vector<int64_t> index = file.read_table<int64_t>("index", 6);
  const auto count = static_cast<int64_t>(index.size() / 6);
  const std::vector<double> transforms = file.read_table<double>("transforms", 6, count);
  const std::vector<uint64_t> checksums = file.read_table<uint64_t>("checksums", 1, count);
  if (count % t.views != 0) bad(path, "its index has not all views of every image");
  std::vector<int64_t> next_row(t.canvases.size(), 0);
  std::set<int64_t> images;
  t.rows.resize(static_cast<size_t>(count));
  for (size_t n = 0; n < t.rows.size(); ++n) {
    const int64_t* i = index.data() + 6 * n;
    t.rows[n] = {i[0], i[1], i[2], i[3], i[4], i[5], {}, checksums[n]};
    std::copy_n(transforms.begin() + static_cast<int64_t>(6 * n), 6, t.rows[n].transform.begin());
    check_row(t, n, next_row, path);
    if (t.rows[n].view == 0 && !images.insert(i[0]).second) bad(path, cat("has image ", i[0], " twice"));
  }
}

}  // namespace

std::vector<int64_t> FeatureTables::level_shape(int64_t bucket, size_t level) const {
  const auto& canvas = canvases[static_cast<size_t>(bucket)];
  return {channels[level], canvas[0] / strides[level], canvas[1] / strides[level]};
}

int64_t FeatureTables::rows_in(int64_t bucket) const {
  return std::count_if(rows.begin(), rows.end(), [bucket](const FeatureRow& row) { return row.bucket == bucket; });
}

int64_t FeatureTables::feature_bytes() const {
  int64_t values = 0;
  for (int64_t bucket = 0; bucket < static_cast<int64_t>(canvases.size()); ++bucket) {
    const int64_t count = rows_in(bucket);
    for (size_t level = 0; level < strides.size(); ++level) {
      const std::vector<int64_t> shape = level_shape(bucket, level);
      values += count * shape[0] * shape[1] * shape[2];
    }
  }
  return values * static_cast<int64_t>(io::size_of(dtype));
}

std::string level_name(const FeatureTables& tables, int64_t bucket, size_t level) {
  const auto& canvas = tables.canvases[static_cast<size_t>(bucket)];
  return cat("buckets/", canvas[0], "x", canvas[1], "/level", level);
}

uint64_t row_checksum(const std::vector<uint64_t>& level_hashes) {
  const uint64_t hash = hash64(level_hashes.data(), level_hashes.size() * sizeof(uint64_t));
  return hash == 0 ? 1 : hash;
}

std::string content_digest_of(const std::vector<const FeatureTables*>& shards) {
  std::vector<const FeatureRow*> rows;
  for (const FeatureTables* shard : shards) {
    for (const FeatureRow& row : shard->rows) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(), [](const FeatureRow* a, const FeatureRow* b) {
    return std::pair(a->image_id, a->view) < std::pair(b->image_id, b->view);
  });
  Digest digest;
  for (const FeatureRow* row : rows) {
    const int64_t whole[4] = {row->image_id, row->view, row->valid_height, row->valid_width};
    digest.add(whole, sizeof whole);
    digest.add(row->transform.data(), sizeof row->transform);
    digest.add(&row->checksum, sizeof row->checksum);
  }
  return digest.hex();
}

io::Hdf5File create_feature_file(const std::string& path, const FeatureTables& t, int gzip) {
  io::Hdf5File file = io::Hdf5File::create(path);
  file.set_attribute("magic", std::string(kFeatureMagic));
  file.set_attribute("schema", kFeatureSchema);
  file.set_attribute("backbone", t.backbone);
  file.set_attribute("alignment", t.alignment);
  file.set_attribute("dtype", std::string(dtype_name(t.dtype)));
  file.set_attribute("views", t.views);
  file.set_attribute("images_total", t.images_total);
  file.set_attribute("shard_index", t.shard.index);
  file.set_attribute("shard_count", t.shard.count);
  file.write_text("provenance", t.provenance);
  file.write_text("content_digest", t.content_digest.empty() ? std::string(32, '\0') : t.content_digest);
  file.write_table("strides", t.strides, 1);
  file.write_table("channels", t.channels, 1);
  std::vector<int64_t> canvases, index;
  std::vector<double> transforms;
  std::vector<uint64_t> checksums;
  for (const auto& canvas : t.canvases) canvases.insert(canvases.end(), canvas.begin(), canvas.end());
  for (const FeatureRow& row : t.rows) {
    index.insert(index.end(), {row.image_id, row.view, row.bucket, row.row, row.valid_height, row.valid_width});
    transforms.insert(transforms.end(), row.transform.begin(), row.transform.end());
    checksums.push_back(row.checksum);
  }
  file.write_table("canvases", canvases, 2);
  file.write_table("index", index, 6);
  file.write_table("transforms", transforms, 6);
  file.write_table("checksums", checksums, 1);
  file.make_group("buckets");
  for (int64_t bucket = 0; bucket < static_cast<int64_t>(t.canvases.size()); ++bucket) {
    const std::string name = level_name(t, bucket, 0);
    file.make_group(name.substr(0, name.rfind('/')));
    for (size_t level = 0; level < t.strides.size(); ++level) {
      file.create_rows(level_name(t, bucket, level), t.dtype, t.rows_in(bucket), t.level_shape(bucket, level), gzip);
    }
  }
  return file;
}

FeatureTables read_feature_tables(const io::Hdf5File& file) {
  FeatureTables t;
  read_header(file, t);
  t.provenance = file.read_text("provenance");
  t.content_digest = file.read_text("content_digest");
  const nlohmann::json provenance = nlohmann::json::parse(t.provenance, nullptr, false);
  if (provenance.is_discarded()) bad(file.path(), "its provenance is not JSON");
  io::check_provenance(provenance, file.path());
  read_shapes(file, t);
  read_rows(file, t);
  const int64_t images = static_cast<int64_t>(t.rows.size()) / t.views;
  const int64_t expected = (t.images_total + t.shard.count - 1 - t.shard.index) / t.shard.count;
  // Those that --max-errors left out are in some shard or other.
  const nlohmann::json& made_by = provenance["entries"].back();
  const auto left_out = std::ssize(made_by.value("/config/left_out"_json_pointer, nlohmann::json::array()));
  if (images > expected || images < expected - left_out) {
    bad(file.path(), cat("holds ", images, " images where its shard has ", expected));
  }
  return t;
}

void check_complete(const FeatureTables& tables, const std::string& path) {
  if (tables.content_digest.empty()) {
    bad(path, "is not complete: it is the partial file of an interrupted iuq-cache; run that again with --resume");
  }
  if (tables.content_digest != content_digest_of({&tables})) {
    bad(path, "is damaged: its index does not have the digest it was written with; make the cache anew");
  }
}

FeatureRowReader::FeatureRowReader(const io::Hdf5File& file, const FeatureTables& tables) : path_(file.path()) {
  for (int64_t bucket = 0; bucket < static_cast<int64_t>(tables.canvases.size()); ++bucket) {
    auto& levels = rows_.emplace_back();
    for (size_t level = 0; level < tables.strides.size(); ++level) {
      const std::string name = level_name(tables, bucket, level);
      levels.push_back(file.rows(name));
      const io::Hdf5Rows& rows = levels.back();
      if (rows.dtype() != tables.dtype || rows.count() != tables.rows_in(bucket) ||
          rows.row_shape() != tables.level_shape(bucket, level)) {
        bad(path_, cat("\"", name, "\" has another shape or type than the index says"));
      }
    }
  }
}

void FeatureRowReader::read(const FeatureRow& row, const std::vector<void*>& levels) const {
  const auto& datasets = rows_[static_cast<size_t>(row.bucket)];
  IUQ_ASSERT(levels.size() == datasets.size());
  std::vector<uint64_t> hashes;
  for (size_t level = 0; level < levels.size(); ++level) {
    datasets[level].read(row.row, levels[level]);
    hashes.push_back(hash64(levels[level], datasets[level].row_bytes()));
  }
  if (row_checksum(hashes) != row.checksum) {
    bad(path_, cat("the features of image ", io::image_text(row.image_id), ", view ", row.view,
                   " are damaged (checksum differs); make this cache anew"));
  }
}

std::vector<std::vector<char>> FeatureRowReader::read(const FeatureRow& row) const {
  std::vector<std::vector<char>> bytes;
  std::vector<void*> levels;
  for (const io::Hdf5Rows& dataset : rows_[static_cast<size_t>(row.bucket)]) {
    bytes.emplace_back(dataset.row_bytes());
    levels.push_back(bytes.back().data());
  }
  read(row, levels);
  return bytes;
}

}  // namespace iuq::cache
