#include "lib/eval/ground_truth.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/eval/annotation_rules.h"
#include "lib/eval/segmentation.h"
#include "lib/io/parallel_records.h"
#include "lib/io/record_reader.h"

namespace iuq::eval {
namespace {

constexpr size_t kMasksAtATime = 16;

// An annotation before ids are resolved; the lists of the file may come in any order.
struct Raw {
  int64_t id = 0, image_id = 0, category_id = 0;
  int64_t index = 0;  // in the file
  double area = 0;
  mask::Box box{};
  bool crowd = false, ignore = false;
  size_t offset = 0;                   // of its segmentation among the packed ones of its batch
  const uint8_t* segmentation = nullptr;  // packed, once the batch was taken
};

const std::vector<std::string> kSections = {"images", "categories", "annotations"};
constexpr size_t kImages = 0, kCategories = 1;

struct Rules {
  explicit Rules(const EvalConfig& config)
      : images(image_rules(config)), categories(category_rules(config)), annotations(annotation_rules(config)),
        sections({{kSections[0], images}, {kSections[1], categories}, {kSections[2], annotations}}) {}
  const std::array<io::FieldRule, image_field::kCount> images;
  const std::array<io::FieldRule, category_field::kCount> categories;
  const std::array<io::FieldRule, annotation_field::kCount> annotations;
  const std::vector<io::SectionRules> sections;
};

/// A part of the file.
class Batch final : public io::RuleBatch {
 public:
  Batch(const std::string& path, const Rules& rules) : io::RuleBatch(path, rules.sections) {}

  void clear() override {
    images.clear();
    categories.clear();
    annotations.clear();
    faults.clear();
    packed.clear();
  }

  std::vector<Image> images;
  std::vector<Category> categories;
  std::vector<Raw> annotations;
  std::vector<std::pair<size_t, std::string>> faults;  // which of the annotations must not count, and RecordReader::fault()
  std::vector<uint8_t> packed;

 private:
  void add(size_t section, io::RecordReader& record) override {
    if (section == kImages) return add_image(record);
    if (section == kCategories) return add_category(record);
    add_annotation(record);
  }

  void add_image(const io::RecordReader& record) {
    using namespace image_field;
    Image image;
    image.id = record.integer(kId);
    if (record.has(kHeight) && record.has(kWidth)) {
      image.height = record.integer(kHeight);
      image.width = record.integer(kWidth);
    }
    image.negative = record.integers(kNegative);
    image.not_exhaustive = record.integers(kNotExhaustive);
    std::sort(image.negative.begin(), image.negative.end());
    std::sort(image.not_exhaustive.begin(), image.not_exhaustive.end());
    images.push_back(std::move(image));
  }

  void add_category(const io::RecordReader& record) {
    using namespace category_field;
    Category category;
    category.id = record.integer(kId);
    if (record.has(kName)) category.name = record.text(kName);
    if (record.has(kFrequency)) category.frequency = record.text(kFrequency)[0];
    categories.push_back(std::move(category));
  }

  void add_annotation(const io::RecordReader& record) {
    using namespace annotation_field;
    Raw raw;
    raw.index = record.index();
    raw.id = record.integer(kId);
    raw.image_id = record.integer(kImageId);
    raw.category_id = record.integer(kCategoryId);
    raw.crowd = record.has(kCrowd) && record.flag(kCrowd);
    raw.ignore = raw.crowd || (record.has(kIgnore) && record.flag(kIgnore));
    if (record.has(kArea)) raw.area = record.number(kArea);
    if (record.has(kBox)) raw.box = record.box(kBox);
    raw.offset = packed.size();
    if (record.has(kSegmentation)) io::pack(record.segmentation(), packed);
    if (!record.fault().empty()) faults.emplace_back(annotations.size(), record.fault());
    annotations.push_back(raw);
  }
};

/// Threads: io::ParallelRecords fills batches on several; take() is called by one at a time. Masks are drawn on several,
/// each into an annotation of its own, when nothing else changes any more.
class Loader final : public io::RecordConsumer {
 public:
  Loader(const std::string& path, const EvalConfig& config) : path_(path), config_(config), rules_(config) {}

  GroundTruth load(size_t block) {
    const auto missing = io::ParallelRecords(path_, kSections, *this, config_.threads, block).finish();
    if (!missing.empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" has no list \"", missing[0],
                                           "\"; annotations need images, categories and annotations"));
    }
    sort_by_id(out_.images, out_.image_of);
    sort_by_id(out_.categories, out_.category_of);
    resolve();
    return std::move(out_);
  }

  std::unique_ptr<io::RecordBatch> make_batch() override { return std::make_unique<Batch>(path_, rules_); }

  void take(io::RecordBatch& taken, const io::BatchOrigin& origin) override {
    auto& batch = static_cast<Batch&>(taken);
    for (Image& image : batch.images) put(out_.images, out_.image_of, std::move(image));
    for (Category& category : batch.categories) {
      const auto known = out_.category_of.find(category.id);
      if (known != out_.category_of.end()) category.listed += out_.categories[known->second].listed;
      put(out_.categories, out_.category_of, std::move(category));
    }
    if (batch.annotations.empty()) return;
    const size_t had = raws_.size(), needed = had + batch.annotations.size();
    if (needed > raws_.capacity()) {
      reserve_huge(raws_, std::max(needed + origin.expected(batch.annotations.size()), needed + needed / 2));
    }
    const uint8_t* const packed = store_.add(batch.packed);
    for (Raw raw : batch.annotations) {
      raw.index += origin.first;
      raw.segmentation = packed + raw.offset;
      last_of_[raw.id] = raws_.size();
      raws_.push_back(raw);
    }
    for (const auto& [at, fault] : batch.faults) {
      faults_.emplace(had + at, cat(io::field_path(path_, kSections[2], raws_[had + at].index), fault));
    }
  }

 private:
  bool lvis() const { return config_.protocol == Protocol::kLvis; }

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

  // Chooses the annotations that count, in the order of the reference: by image id, then as in the file, each id
  // standing for the last annotation that has it.
  void resolve() {
    std::vector<std::pair<uint32_t, size_t>> order;  // image, position
    for (size_t i = 0; i < raws_.size(); ++i) {
      const Raw& raw = raws_[i];
      const auto image = out_.image_of.find(raw.image_id);
      if (image == out_.image_of.end() || !out_.category_of.count(raw.category_id)) continue;
      const auto fault = faults_.find(i);
      if (fault != faults_.end()) throw Error(ErrorCode::kBadData, fault->second);
      if (lvis() && !(raw.area > 0)) continue;
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
    out_.annotations.resize(chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) out_.annotations[i] = annotation_of(raws_[chosen[i]]);
    if (config_.wants_masks()) draw_masks(chosen);
    warn(chosen);
  }

  Annotation annotation_of(const Raw& raw) const {
    Annotation out;
    out.id = raw.id;
    out.image = out_.image_of.at(raw.image_id);
    out.category = out_.category_of.at(raw.category_id);
    out.area = raw.area;
    out.crowd = raw.crowd;
    out.ignore = raw.ignore;
    out.box = raw.box;
    return out;
  }

  // In the order of the file, so that of several broken masks the first in the file is reported.
  void draw_masks(const std::vector<size_t>& chosen) {
    std::vector<size_t> order(chosen.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return chosen[a] < chosen[b]; });
    parallel_for(order.size(), kMasksAtATime, config_.threads, [&](size_t begin, size_t end) {
      io::Segmentation scratch;
      for (size_t i = begin; i < end; ++i) draw_mask(raws_[chosen[order[i]]], scratch, out_.annotations[order[i]]);
    });
  }

  void draw_mask(const Raw& raw, io::Segmentation& scratch, Annotation& out) const {
    const Image& image = out_.images[out.image];
    const std::string& list = kSections[2];
    if (image.height < 0 || image.width < 0) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\": image ", image.id, " has no valid height and width, which ",
                                           io::field_path(path_, list, raw.index, "segmentation"), " needs"));
    }
    try {
      io::unpack(raw.segmentation, scratch);
      out.mask = to_rle(scratch, image.height, image.width);
    } catch (const Error& e) {
      throw Error(e.code(), cat(io::field_path(path_, list, raw.index, "segmentation"), ": ", e.what(), " (id ", raw.id, ")"));
    }
    out.mask_box = mask::to_box(out.mask);
    out.foreground = mask::Foreground(out.mask.counts);
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
  const Rules rules_;
  GroundTruth out_;
  std::vector<Raw> raws_;
  io::SegmentationStore store_;                    // of raws_
  std::unordered_map<size_t, std::string> faults_;  // position to what is wrong, to be thrown if it turns out to count
  std::unordered_map<int64_t, size_t> last_of_;    // annotation id to position
};

}  // namespace

GroundTruth load_ground_truth(const std::string& path, const EvalConfig& config, size_t block) {
  GroundTruth out = Loader(path, config).load(block);
  if (out.annotations.empty()) log::warning(cat("\"", path, "\" has no annotation that counts; every number will be -1"));
  return out;
}

}  // namespace iuq::eval
