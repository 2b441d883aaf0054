#include "lib/eval/ground_truth.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/eval/fields.h"
#include "lib/eval/parallel.h"
#include "lib/eval/plain_annotation.h"
#include "lib/eval/segmentation.h"
#include "lib/io/coco_json.h"
#include "lib/io/record_parser.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

// An annotation before ids are resolved; the lists of the file may come in any order.
struct Raw {
  int64_t id = 0, image_id = 0, category_id = 0, index = 0;
  bool has_area = false, has_crowd = false;
  Annotation value;
  Segmentation segmentation;
  std::string problem;  // what is wrong with it, to be thrown if it turns out to count
};

const std::vector<std::string> kSections = {"images", "categories", "annotations"};
constexpr size_t kImages = 0, kCategories = 1;

class Loader final : public io::RecordSink {
 public:
  Loader(const std::string& path, const EvalConfig& config) : path_(path), config_(config) {}

  GroundTruth load() {
    const auto missing = io::read_records(path_, kSections, *this);
    if (!missing.empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" has no list \"", missing[0],
                                           "\"; annotations need images, categories and annotations"));
    }
    sort_by_id(out_.images, out_.image_of);
    sort_by_id(out_.categories, out_.category_of);
    resolve();
    return std::move(out_);
  }

 private:
  bool lvis() const { return config_.protocol == Protocol::kLvis; }

  void general(size_t section, int64_t index, json& record) override {
    const Fields fields(path_, kSections[section], index, record);
    if (section == kImages) {
      add_image(fields);
    } else if (section == kCategories) {
      add_category(fields);
    } else {
      add_annotation(fields, index);
    }
  }

  // Records as COCO and LVIS write them; false leaves the record to general().
  bool plain(size_t section, int64_t index, io::JsonCursor& cursor) override {
    if (section == kImages) {
      Image image;
      if (!read_plain_image(cursor, lvis(), image)) return false;
      put(out_.images, out_.image_of, std::move(image));
      return true;
    }
    if (section == kCategories) return false;
    Raw raw;
    PlainAnnotation plain{raw.value, raw.segmentation, config_, scratch_};
    if (!plain.read(cursor)) return false;
    raw.index = index;
    raw.id = raw.value.id;
    raw.image_id = plain.image_id;
    raw.category_id = plain.category_id;
    last_of_[raw.id] = raws_.size();
    raws_.push_back(std::move(raw));
    return true;
  }

  void add_image(const Fields& fields) {
    Image image;
    image.id = fields.integer("id");
    if (fields.find("height") && fields.find("width")) {
      image.height = fields.integer("height");
      image.width = fields.integer("width");
    }
    if (lvis()) {
      image.negative = fields.integers("neg_category_ids");
      image.not_exhaustive = fields.integers("not_exhaustive_category_ids");
      std::sort(image.negative.begin(), image.negative.end());
      std::sort(image.not_exhaustive.begin(), image.not_exhaustive.end());
    }
    put(out_.images, out_.image_of, std::move(image));
  }

  void add_category(const Fields& fields) {
    Category category;
    category.id = fields.integer("id");
    const json* name = fields.find("name");
    if (name && name->is_string()) category.name = name->get<std::string>();
    if (lvis()) {
      const json& frequency = fields.need("frequency");
      const std::string text = frequency.is_string() ? frequency.get<std::string>() : "";
      if (text != "r" && text != "c" && text != "f") fields.fail("frequency", "is not one of \"r\", \"c\", \"f\"");
      category.frequency = text[0];
    }
    const auto known = out_.category_of.find(category.id);
    if (known != out_.category_of.end()) category.listed += out_.categories[known->second].listed;
    put(out_.categories, out_.category_of, std::move(category));
  }

  // Of records with one id the last holds.
  template <class Record>
  static void put(std::vector<Record>& records, std::unordered_map<int64_t, uint32_t>& index_of, Record record) {
    const auto [it, is_new] = index_of.try_emplace(record.id, static_cast<uint32_t>(records.size()));
    if (is_new) {
      records.push_back(std::move(record));
    } else {
      records[it->second] = std::move(record);
    }
  }

  template <class Record>
  static void sort_by_id(std::vector<Record>& records, std::unordered_map<int64_t, uint32_t>& index_of) {
    std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.id < b.id; });
    for (size_t i = 0; i < records.size(); ++i) index_of[records[i].id] = static_cast<uint32_t>(i);
  }

  void add_annotation(const Fields& fields, int64_t index) {
    Raw raw;
    raw.index = index;
    raw.id = raw.value.id = fields.integer("id");
    raw.image_id = fields.integer("image_id");
    raw.category_id = fields.integer("category_id");
    last_of_[raw.id] = raws_.size();
    try {
      read_details(fields, raw);
    } catch (const Error& e) {
      raw.problem = e.what();
    }
    raws_.push_back(std::move(raw));
  }

  void read_details(const Fields& fields, Raw& raw) {
    Annotation& value = raw.value;
    if (lvis()) {
      value.ignore = fields.find("ignore") && fields.flag("ignore");
    } else {
      value.crowd = value.ignore = fields.flag("iscrowd");
    }
    // The reference never looks at the area of a crowd.
    if (!value.ignore || lvis() || fields.find("area")) value.area = fields.number("area");
    if (config_.wants(IouType::kBbox)) value.box = fields.box("bbox");
    if (config_.wants_masks()) raw.segmentation = read_segmentation(fields);
  }

  // Chooses the annotations that count, in the order of the reference: by image id, then as in the file, each id
  // standing for the last annotation that has it.
  void resolve() {
    std::vector<std::pair<uint32_t, size_t>> order;  // image, position
    for (size_t i = 0; i < raws_.size(); ++i) {
      const Raw& raw = raws_[i];
      const auto image = out_.image_of.find(raw.image_id);
      if (image == out_.image_of.end() || !out_.category_of.count(raw.category_id)) continue;
      if (!raw.problem.empty()) throw Error(ErrorCode::kBadData, raw.problem);
      if (lvis() && !(raw.value.area > 0)) continue;
      order.emplace_back(image->second, i);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<size_t> chosen;
    for (const auto& [image, position] : order) {
      const size_t last = last_of_.at(raws_[position].id);
      const Raw& raw = raws_[last];
      if (!out_.image_of.count(raw.image_id) || !out_.category_of.count(raw.category_id)) continue;
      chosen.push_back(last);
    }
    if (config_.wants_masks()) draw_masks(chosen);
    const bool repeats = last_of_.size() < raws_.size();
    out_.annotations.reserve(chosen.size());
    for (const size_t i : chosen) {
      raws_[i].value.image = out_.image_of.at(raws_[i].image_id);
      raws_[i].value.category = out_.category_of.at(raws_[i].category_id);
      // Of equal ids the last may stand for several; else its runs need no copy.
      if (repeats) out_.annotations.push_back(raws_[i].value);
      if (!repeats) out_.annotations.push_back(std::move(raws_[i].value));
    }
    warn(chosen);
  }

  void draw_masks(std::vector<size_t> chosen) {
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    parallel_for(chosen.size(), 16, config_.threads, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) draw_mask(raws_[chosen[i]]);
    });
  }

  void draw_mask(Raw& raw) {
    const uint32_t at = out_.image_of.at(raw.image_id);
    const Image& image = out_.images[at];
    if (image.height < 0 || image.width < 0) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\": image ", image.id, " has no valid height and width, which ",
                                           place_of(path_, "annotations", raw.index, "segmentation"), " needs"));
    }
    try {
      raw.value.mask = to_rle(std::move(raw.segmentation), image.height, image.width);
    } catch (const Error& e) {
      throw Error(e.code(), cat(place_of(path_, "annotations", raw.index, "segmentation"), ": ", e.what()));
    }
    raw.value.mask_box = mask::to_box(raw.value.mask);
    raw.value.foreground = mask::Foreground(raw.value.mask.counts);
  }

  void warn(const std::vector<size_t>& chosen) const {
    int64_t zeros = 0, repeated = static_cast<int64_t>(raws_.size()) - static_cast<int64_t>(last_of_.size());
    for (const size_t i : chosen) zeros += raws_[i].id == 0;
    if (zeros > 0) {
      log::warning(cat("\"", path_, "\": ", zeros, " annotation(s) have the id 0, which the reference takes for ",
                       "\"unmatched\": their detections count as false positives. Number annotations from 1"));
    }
    if (repeated > 0) {
      log::warning(cat("\"", path_, "\": ", repeated, " annotation id(s) repeat; of equal ids the last one holds for all"));
    }
  }

  const std::string& path_;
  const EvalConfig& config_;
  GroundTruth out_;
  std::vector<Raw> raws_;
  std::vector<double> scratch_;
  std::unordered_map<int64_t, size_t> last_of_;  // annotation id to position
};

}  // namespace

GroundTruth load_ground_truth(const std::string& path, const EvalConfig& config) {
  GroundTruth out = Loader(path, config).load();
  if (out.annotations.empty()) log::warning(cat("\"", path, "\" has no annotation that counts; every number will be -1"));
  return out;
}

}  // namespace iuq::eval
