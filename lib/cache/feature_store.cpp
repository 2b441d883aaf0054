#include "lib/cache/feature_store.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/io/image_names.h"
#include "lib/io/provenance.h"

namespace iuq::cache {
using namespace nlohmann::literals;
namespace {

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

std::string digest_in(const FeatureTables& tables) { return nlohmann::json::parse(tables.provenance).at("digest"); }

}  // namespace

view::ViewTransform transform_of(const FeatureRow& row) {
  const auto& t = row.transform;
  return {{t[0], t[1]}, {t[2], t[3]}, {static_cast<int64_t>(t[4]), static_cast<int64_t>(t[5])}};
}

FeatureStore FeatureStore::open(const std::vector<std::string>& paths) {
  FeatureStore store;
  for (const std::string& path : io::expand_shard_folders(paths)) {
    const io::Hdf5File file = io::Hdf5File::open(path);
    FeatureTables tables = read_feature_tables(file);
    check_complete(tables, path);
    FeatureRowReader reader(file, tables);
    store.shards_.push_back({path, std::move(tables), std::move(reader)});
  }
  if (store.shards_.empty()) throw Error(ErrorCode::kUsage, "no features file is given");
  store.check_together();
  for (size_t s = 0; s < store.shards_.size(); ++s) {
    const FeatureTables& tables = store.shards_[s].tables;
    for (size_t n = 0; n < tables.rows.size(); n += static_cast<size_t>(tables.views)) {
      if (!store.images_.emplace(tables.rows[n].image_id, ImageRows{s, n}).second) {
        bad(store.shards_[s].path, cat("image ", io::image_text(tables.rows[n].image_id), " is in another shard, too"));
      }
    }
  }
  return store;
}

data::UsableImages FeatureStore::usable_images(const data::Dataset& dataset, const std::vector<int64_t>& wanted,
                                               int64_t max_errors) const {
  std::map<int64_t, std::string> left_out;  // image id -> its file
  const nlohmann::json made_by = provenance().at("entries").back();
  for (const nlohmann::json& one : made_by.value("/config/left_out"_json_pointer, nlohmann::json::array())) {
    left_out[io::image_of_json(one.at("id"))] = one.at("file");
  }
  data::UsableImages usable;
  std::vector<int64_t> absent, unmeasured;  // ids
  for (const int64_t index : wanted) {
    const data::Image& image = dataset.images()[static_cast<size_t>(index)];
    const auto left = left_out.find(image.id);
    if (left == left_out.end()) find(image.id);  // throws when it is not there
    if (has(image.id) && image.has_size()) {
      usable.images.push_back(index);
      continue;
    }
    (has(image.id) ? unmeasured : absent).push_back(image.id);
    usable.left.push_back({index, image.id, left == left_out.end() ? "missing" : left->second});
  }
  if (usable.left.empty()) return usable;
  const auto of_many = [&](const auto& ids) { return cat(ids.size(), " of ", wanted.size(), " images"); };
  std::string what;
  if (!absent.empty()) what = cat("has no features of ", of_many(absent), ", which iuq-cache left out (", io::some_images(absent), ")");
  if (!unmeasured.empty()) {
    what += cat(what.empty() ? "" : "; ", "of ", of_many(unmeasured), " neither \"", dataset.path(), "\" nor their files in --images ",
                "tell the size (", io::some_images(unmeasured), ")");
  }
  if (std::ssize(usable.left) > max_errors) {
    bad(shards_[0].path, cat(what, "; mend them", absent.empty() ? "" : " and cache again", ", or leave them out here too with ",
                             "--max-errors ", usable.left.size()));
  }
  log::warning(cat("\"", shards_[0].path, "\" ", what));
  std::sort(usable.left.begin(), usable.left.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return usable;
}

void FeatureStore::check_together() const {
  const Shard& first = shards_[0];
  const std::string digest = digest_in(first.tables);
  std::set<int64_t> found;
  for (const Shard& shard : shards_) {
    const FeatureTables& t = shard.tables;
    const bool same = digest_in(t) == digest && t.shard.count == first.tables.shard.count &&
                      t.images_total == first.tables.images_total && t.backbone == first.tables.backbone &&
                      t.views == first.tables.views && t.channels == first.tables.channels &&
                      t.strides == first.tables.strides && t.alignment == first.tables.alignment;
    if (!same) bad(shard.path, cat("does not belong to \"", first.path, "\": it was made by another run"));
    if (!found.insert(t.shard.index).second) bad(shard.path, cat("shard ", t.shard.index, " is given twice"));
  }
  const int64_t count = first.tables.shard.count;
  if (static_cast<int64_t>(found.size()) == count) return;
  std::string missing;
  for (int64_t i = 0; i < count && missing.size() < 200; ++i) {
    if (!found.count(i)) missing += cat(missing.empty() ? "" : ", ", ::iuq::Shard{i, count}.name(), ".h5");
  }
  bad(first.path, cat("is one of ", count, " shards; missing: ", missing, "; pass all of them, or their folder"));
}

const FeatureStore::ImageRows& FeatureStore::find(int64_t image_id) const {
  const auto it = images_.find(image_id);
  if (it == images_.end()) {
    bad(shards_[0].path, cat("has no features of image ", io::image_text(image_id), "; it was made from other annotations"));
  }
  return it->second;
}

const FeatureRow& FeatureStore::row(const ImageRows& rows, int64_t view) const {
  IUQ_ASSERT(view >= 0 && view < views());
  return shards_[rows.shard].tables.rows[rows.first + static_cast<size_t>(view)];
}

StoredView FeatureStore::read(int64_t image_id, int64_t view) const {
  const ImageRows& rows = find(image_id);
  const FeatureRow& at = row(rows, view);
  const Shard& shard = shards_[rows.shard];
  const io::DType dtype = shard.tables.dtype;
  const at::ScalarType type = dtype == io::DType::kF16    ? at::kHalf
                              : dtype == io::DType::kBF16 ? at::kBFloat16
                                                          : at::kFloat;
  StoredView out;
  std::vector<void*> bytes;
  for (size_t level = 0; level < strides().size(); ++level) {
    out.levels.push_back(at::empty(shard.tables.level_shape(at.bucket, level), at::TensorOptions(type)));
    bytes.push_back(out.levels.back().data_ptr());
  }
  shard.reader.read(at, bytes);
  for (at::Tensor& level : out.levels) level = level.to(at::kFloat);
  out.transform = transform_of(at);
  out.canvas = out.transform.size;
  out.valid = {at.valid_height, at.valid_width};
  return out;
}

view::Size FeatureStore::canvas(int64_t image_id) const { return transform_of(row(find(image_id), 0)).size; }

nlohmann::json FeatureStore::provenance() const { return nlohmann::json::parse(shards_[0].tables.provenance); }

void FeatureStore::warn_of_other_annotations(const nlohmann::json& provenance) const {
  const std::string cached = io::input_digest(this->provenance(), "annotations");
  if (cached.empty() || cached == io::input_digest(provenance, "annotations")) return;
  log::warning(cat("the features \"", shards_[0].path, "\" were cached with another annotations file; an image id must mean the "
                   "same image in both"));
}

std::string FeatureStore::content_digest() const {
  std::vector<const FeatureTables*> tables;
  for (const Shard& shard : shards_) tables.push_back(&shard.tables);
  return content_digest_of(tables);
}

}  // namespace iuq::cache
