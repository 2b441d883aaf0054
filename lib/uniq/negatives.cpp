#include "lib/uniq/negatives.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <unordered_set>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/hdf5.h"
#include "lib/io/provenance.h"

namespace iuq::uniq {
namespace {

// The tables as they lie in the file: lists end to end, with how many belong to each instance and image.
struct Columns {
  std::vector<int64_t> instances;  // [N, 3] instance id, image id, pixels
  std::vector<int64_t> pixels;     // [sum, 4] image id, instance id, x, y
  std::vector<float> scores;       // [sum]
  std::vector<int64_t> images;     // [I, 2] image id, confusable images
  std::vector<int64_t> confusable;  // [sum]
  std::vector<double> confusion;    // [sum]

  std::string digest() const {
    Digest d;
    const auto add = [&d](const auto& values) {
      const uint64_t count = values.size();
      d.add(&count, sizeof count).add(values.data(), count * sizeof values[0]);
    };
    add(instances);
    add(pixels);
    add(scores);
    add(images);
    add(confusable);
    add(confusion);
    return d.hex();
  }
};

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

Columns to_columns(const NegativesTable& table) {
  Columns c;
  for (const auto& instance : table.instances) {
    c.instances.insert(c.instances.end(), {instance.instance_id, instance.image_id, std::ssize(instance.pixels)});
    for (const HardPixel& p : instance.pixels) {
      c.pixels.insert(c.pixels.end(), {p.image_id, p.instance_id, p.x, p.y});
      c.scores.push_back(p.score);
    }
  }
  for (const auto& image : table.images) {
    c.images.insert(c.images.end(), {image.image_id, std::ssize(image.images)});
    for (const ConfusableImage& other : image.images) {
      c.confusable.push_back(other.image_id);
      c.confusion.push_back(other.score);
    }
  }
  return c;
}

Columns read_columns(const io::Hdf5File& file) {
  Columns c;
  c.instances = file.read_table<int64_t>("instances", 3);
  c.pixels = file.read_table<int64_t>("pixels", 4);
  c.scores = file.read_table<float>("scores", 1, std::ssize(c.pixels) / 4);
  c.images = file.read_table<int64_t>("images", 2);
  c.confusable = file.read_table<int64_t>("confusable_images", 1);
  c.confusion = file.read_table<double>("confusable_scores", 1, std::ssize(c.confusable));
  return c;
}

void check_counts(const std::vector<int64_t>& rows, size_t width, int64_t most, size_t total, const std::string& path) {
  int64_t sum = 0;
  for (size_t i = width - 1; i < rows.size(); i += width) {
    if (rows[i] < 0 || rows[i] > most) bad(path, cat("has an impossible count ", rows[i]));
    sum += rows[i];
  }
  if (sum != static_cast<int64_t>(total)) bad(path, "its counts do not add up to its lists");
}

void from_columns(const Columns& c, NegativesTable& table, const std::string& path) {
  check_counts(c.instances, 3, table.per_instance, c.scores.size(), path);
  check_counts(c.images, 2, table.per_image, c.confusable.size(), path);
  size_t next = 0;
  for (size_t i = 0; i < c.instances.size(); i += 3) {
    auto& instance = table.instances.emplace_back();
    instance.instance_id = c.instances[i];
    instance.image_id = c.instances[i + 1];
    for (int64_t k = 0; k < c.instances[i + 2]; ++k, ++next) {
      const int64_t* p = c.pixels.data() + 4 * next;
      if (p[0] == instance.image_id) bad(path, cat("instance ", instance.instance_id, " has a pixel of its own image"));
      instance.pixels.push_back({p[0], p[1], p[2], p[3], c.scores[next]});
    }
  }
  next = 0;
  for (size_t i = 0; i < c.images.size(); i += 2) {
    auto& image = table.images.emplace_back();
    image.image_id = c.images[i];
    for (int64_t k = 0; k < c.images[i + 1]; ++k, ++next) image.images.push_back({c.confusable[next], c.confusion[next]});
  }
}

}  // namespace

std::string NegativesTable::content_digest() const { return to_columns(*this).digest(); }

void write_negatives(const std::string& path, const NegativesTable& table) {
  const Columns columns = to_columns(table);
  io::AtomicFile out(path);
  io::Hdf5File file = io::Hdf5File::create(out.temp_path());
  file.set_attribute("magic", std::string(kNegativesMagic));
  file.set_attribute("schema", kNegativesSchema);
  file.set_attribute("shard_index", table.shard.index);
  file.set_attribute("shard_count", table.shard.count);
  file.set_attribute("negatives_per_instance", table.per_instance);
  file.set_attribute("scenes_per_image", table.per_image);
  file.set_attribute("content_digest", columns.digest());
  file.write_text("provenance", table.provenance);
  file.write_table("instances", columns.instances, 3);
  file.write_table("pixels", columns.pixels, 4);
  file.write_table("scores", columns.scores, 1);
  file.write_table("images", columns.images, 2);
  file.write_table("confusable_images", columns.confusable, 1);
  file.write_table("confusable_scores", columns.confusion, 1);
  file.close();
  out.commit();
}

NegativesTable read_negatives(const std::string& path) {
  const io::Hdf5File file = io::Hdf5File::open(path);
  if (!file.has_attribute("magic") || file.text_attribute("magic") != kNegativesMagic) {
    bad(path, "is an HDF5 file, but has no mined negatives (attribute magic is not \"iuq.negatives\")");
  }
  const int64_t schema = file.int_attribute("schema");
  if (schema != kNegativesSchema) {
    bad(path, cat("has schema ", schema, "; this program reads ", kNegativesSchema, ": mine anew"));
  }
  NegativesTable table;
  table.shard = {file.int_attribute("shard_index"), file.int_attribute("shard_count")};
  table.per_instance = file.int_attribute("negatives_per_instance");
  table.per_image = file.int_attribute("scenes_per_image");
  table.provenance = file.read_text("provenance");
  const nlohmann::json provenance = nlohmann::json::parse(table.provenance, nullptr, false);
  if (provenance.is_discarded()) bad(path, "its provenance is not JSON");
  io::check_provenance(provenance, path);
  const Columns columns = read_columns(file);
  if (columns.digest() != file.text_attribute("content_digest")) {
    bad(path, "is damaged: its content does not have the digest it was written with; mine anew");
  }
  from_columns(columns, table, path);
  return table;
}

bool is_mined(const std::string& path, const io::Provenance& wanted, bool force) {
  nlohmann::json existing;
  if (io::exists(path) && !force) existing = nlohmann::json::parse(read_negatives(path).provenance);
  return io::is_up_to_date(path, existing, wanted, force);
}

Negatives Negatives::load(const std::vector<std::string>& paths) {
  Negatives all;
  std::string first, digest;
  int64_t count = 0;
  std::set<int64_t> found;  // shards
  std::unordered_set<int64_t> instances;
  std::vector<HardPixel> pixels;
  for (const std::string& path : io::expand_shard_folders(paths)) {
    NegativesTable table = read_negatives(path);
    const std::string mine = nlohmann::json::parse(table.provenance).at("digest");
    if (first.empty()) {
      first = path;
      digest = mine;
      count = table.shard.count;
      all.provenance_ = table.provenance;
    }
    if (mine != digest || table.shard.count != count) bad(path, cat("does not belong to \"", first, "\""));
    if (!found.insert(table.shard.index).second) bad(path, cat("shard ", table.shard.index, " is given twice"));
    for (const auto& instance : table.instances) {
      if (!instances.insert(instance.instance_id).second) bad(path, cat("has instance ", instance.instance_id, " twice"));
      pixels.insert(pixels.end(), instance.pixels.begin(), instance.pixels.end());
    }
    for (auto& image : table.images) all.of_image_.emplace(image.image_id, std::move(image.images));
  }
  if (first.empty()) throw Error(ErrorCode::kUsage, "no negatives file is given");
  for (int64_t i = 0; i < count; ++i) {
    if (!found.count(i)) bad(first, cat("is one of ", count, " shards; missing: ", Shard{i, count}.name(), ".h5"));
  }
  all.add_hard_pixels(pixels);
  return all;
}

void Negatives::add_hard_pixels(const std::vector<HardPixel>& pixels) {
  using Cell = std::tuple<int64_t, int64_t, int64_t, int64_t>;  // instance, image, x, y
  std::map<Cell, float> best;
  for (const HardPixel& p : pixels) {
    float& score = best[{p.instance_id, p.image_id, p.x, p.y}];
    score = std::max(score, p.score);
  }
  for (const auto& [cell, score] : best) {
    const auto& [instance, image, x, y] = cell;
    within_[instance].push_back({image, instance, x, y, score});
  }
  for (auto& [instance, own] : within_) {
    std::stable_sort(own.begin(), own.end(), [](const HardPixel& a, const HardPixel& b) { return a.score > b.score; });
  }
}

std::span<const HardPixel> Negatives::within_instance(int64_t instance_id) const {
  const auto it = within_.find(instance_id);
  return it == within_.end() ? std::span<const HardPixel>() : it->second;
}

std::span<const ConfusableImage> Negatives::of_image(int64_t image_id) const {
  const auto it = of_image_.find(image_id);
  return it == of_image_.end() ? std::span<const ConfusableImage>() : it->second;
}

}  // namespace iuq::uniq
