#include "lib/eval/ground_truth.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/eval/complain.h"
#include "lib/eval/segmentation.h"
#include "lib/io/annotation_rules.h"
#include "lib/io/image_names.h"
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
  bool crowd = false, ignore = false, has_mask = false;
  io::FaultBits faults = 0;
  size_t offset = 0;                   // of its segmentation among the packed ones of its batch
  const uint8_t* segmentation = nullptr;  // packed, once the batch was taken
};

namespace image_field = io::image_field;
namespace category_field = io::category_field;
namespace annotation_field = io::annotation_field;
using io::bit_of;
using io::Fault;

io::Wanted wanted_by(const EvalConfig& config) {
  return {true, config.protocol == Protocol::kLvis, config.wants_masks(), config.wants_boxes()};
}

const std::vector<std::string> kSections = {"images", "categories", "annotations"};
constexpr size_t kImages = 0, kCategories = 1;

struct Rules {
  explicit Rules(const EvalConfig& config)
      : images(io::image_rules(wanted_by(config))), categories(io::category_rules(wanted_by(config))),
        annotations(io::annotation_rules(wanted_by(config))),
        sections({{kSections[0], images}, {kSections[1], categories}, {kSections[2], annotations}}) {}
  const io::ImageRules images;
  const io::CategoryRules categories;
  const io::AnnotationRules annotations;
  const std::vector<io::SectionRules> sections;
};

/// A part of the file.
class Batch final : public io::RuleBatch {
 public:
  Batch(const std::string& path, const Rules& rules, const EvalConfig& config)
      : io::RuleBatch(path, rules.sections, config.strict), wants_masks_(config.wants_masks()), lvis_(config.protocol == Protocol::kLvis) {}

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
    image.name = record.text(kId);
    image.record = record.index();
    if (record.has(kHeight) && record.has(kWidth) && record.integer(kHeight) >= 0 && record.integer(kWidth) >= 0) {
      image.height = record.integer(kHeight);
      image.width = record.integer(kWidth);
    }
    if (!image.has_size() && record.has(kFileName)) image.file_name = record.text(kFileName);
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
    raw.faults = record.faults();
    if (!lvis_ && !record.has(kCrowd)) raw.faults |= bit_of(Fault::kNoCrowd);
    if (record.has(kArea) && raw.area < 0) raw.faults |= bit_of(Fault::kBadArea);
    if (record.has(kBox) && (raw.box[2] < 0 || raw.box[3] < 0)) raw.faults |= bit_of(Fault::kBadBox);
    raw.offset = packed.size();
    pack_mask(record, raw);
    if (!record.fault().empty()) faults.emplace_back(annotations.size(), record.fault());
    annotations.push_back(raw);
  }

  void pack_mask(const io::RecordReader& record, Raw& raw) {
    raw.has_mask = record.has(annotation_field::kSegmentation);
    const io::Segmentation* mask = &record.segmentation();
    constexpr io::FaultBits kNeedsMask = bit_of(Fault::kNoArea) | bit_of(Fault::kNoBox);
    if (!wants_masks_ && (raw.faults & kNeedsMask) && record.record()) {
      const auto value = record.record()->find("segmentation");
      raw.has_mask = value != record.record()->end() && io::read_segmentation(*value, io::PolygonRule::kFirst, spare_).empty();
      mask = &spare_;
    }
    if (!raw.has_mask) return;
    io::pack(*mask, packed);
    if (mask->kind != io::Segmentation::Kind::kPolygons) return;
    for (const uint32_t length : mask->lengths) {
      if (length < 6 || length % 2 != 0) raw.faults |= bit_of(Fault::kThinPart);
    }
  }

  const bool wants_masks_, lvis_;
  io::Segmentation spare_;
};

/// Threads: io::ParallelRecords fills batches on several; take() is called by one at a time. Masks are drawn on several,
/// each into an annotation of its own, when nothing else changes any more.
class Loader final : public io::RecordConsumer {
 public:
  Loader(const std::string& path, const EvalConfig& config) : path_(path), config_(config), rules_(config) {
    out_.faults = io::FaultTally(config.strict);
  }

  GroundTruth load(size_t block) {
    const auto missing = io::ParallelRecords(path_, kSections, *this, config_.threads, block).finish();
    if (missing == std::vector<std::string>{kSections[2]} && !out_.images.empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" has no list \"annotations\", only images: there is nothing to judge by, ",
                                           "as in COCO's test-dev, which its server judges"));
    }
    if (!missing.empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" has no list \"", missing[0],
                                           "\"; annotations need images, categories and annotations"));
    }
    sort_by_id(out_.images, out_.image_of);
    sort_by_id(out_.categories, out_.category_of);
    if (config_.image_size) measure_images();
    resolve();
    out_.faults.report(path_, io::FaultReader::kEvaluation, config_.strict);
    return std::move(out_);
  }

  std::unique_ptr<io::RecordBatch> make_batch() override { return std::make_unique<Batch>(path_, rules_, config_); }

  void take(io::RecordBatch& taken, const io::BatchOrigin& origin) override {
    auto& batch = static_cast<Batch&>(taken);
    for (Image& image : batch.images) {
      image.record += origin.first;
      repeated_images_ += static_cast<int64_t>(out_.image_of.count(image.id));
      io::remember_image_name(image.id, image.name);
      put(out_.images, out_.image_of, std::move(image));
    }
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
      const auto [last, is_new] = last_of_.try_emplace(raw.id, raws_.size());
      if (!is_new) {
        raw.faults |= bit_of(Fault::kRepeatedId);
        last->second = raws_.size();
      }
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
    std::sort(records.begin(), records.end(), comes_before<Record>);
    for (size_t i = 0; i < records.size(); ++i) index_of[records[i].id] = static_cast<uint32_t>(i);
  }

  // Strings in their own order, as numpy sorts them.
  template <class Record>
  static bool comes_before(const Record& a, const Record& b) {
    if constexpr (std::is_same_v<Record, Image>) return std::tie(a.name, a.id) < std::tie(b.name, b.id);
    return a.id < b.id;
  }

  void measure_images() {
    for (Image& image : out_.images) {
      if (image.has_size() || image.file_name.empty()) continue;
      std::tie(image.height, image.width) = config_.image_size(image.file_name);
      out_.faults.add(Fault::kNoSize, image.record, image.id, image.id);
    }
  }

  // Area and box of the mask, where the record lacks them; an area without a mask is that of the box.
  void mend(Raw& raw, uint32_t image) const {
    const bool no_area = raw.faults & bit_of(Fault::kNoArea), no_box = raw.faults & bit_of(Fault::kNoBox);
    if (!no_area && !no_box) return;
    if (raw.has_mask) {
      Annotation drawn;
      io::Segmentation scratch;
      drawn.image = image;
      draw_mask(raw, scratch, drawn);
      if (no_area) raw.area = mask::area(drawn.mask);
      if (no_box) raw.box = drawn.mask_box;
    } else if (no_area && !no_box) {
      raw.area = raw.box[2] * raw.box[3];
    }
  }

  // Whether nothing that is evaluated can be known of the annotation.
  bool is_hollow(const Raw& raw) const {
    return !raw.has_mask && (!config_.wants_boxes() || (raw.faults & bit_of(Fault::kNoBox)));
  }

  // Chooses the annotations that count, in the order of the reference: by image id, then as in the file, each id
  // standing for the last annotation that has it.
  void resolve() {
    std::vector<std::pair<uint32_t, size_t>> order;  // image, position
    for (size_t i = 0; i < raws_.size(); ++i) {
      Raw& raw = raws_[i];
      const auto image = out_.image_of.find(raw.image_id);
      const bool known = image != out_.image_of.end() && out_.category_of.count(raw.category_id);
      if (!known) raw.faults = bit_of(image == out_.image_of.end() ? Fault::kUnknownImage : Fault::kUnknownCategory);
      if (raw.faults != 0) out_.faults.add(raw.faults, raw.index, raw.id, raw.image_id);
      if (!known) continue;
      const auto fault = faults_.find(i);
      if (fault != faults_.end()) throw Error(ErrorCode::kBadData, fault->second);
      mend(raw, image->second);
      if (is_hollow(raw)) continue;
      if (lvis() && !(raw.area > 0)) continue;
      order.emplace_back(image->second, i);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<size_t> chosen;
    for (const auto& [image, position] : order) {
      const size_t last = last_of_.at(raws_[position].id);
      const Raw& raw = raws_[last];
      if (!out_.image_of.count(raw.image_id) || !out_.category_of.count(raw.category_id) || is_hollow(raw)) continue;
      chosen.push_back(last);
    }
    out_.annotations.resize(chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      out_.annotations[i] = annotation_of(raws_[chosen[i]]);
      out_.has_maskless = out_.has_maskless || out_.annotations[i].maskless;
    }
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
    out.maskless = config_.wants_masks() && !raw.has_mask;
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
    if (out.maskless) return;
    const Image& image = out_.images[out.image];
    const std::string& list = kSections[2];
    io::unpack(raw.segmentation, scratch);
    if (image.height < 0 && scratch.kind == io::Segmentation::Kind::kPolygons) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\": image ", io::image_text(image.id),
                                           " has no valid height and width, which ",
                                           io::field_path(path_, list, raw.index, "segmentation"),
                                           " needs; give --images, so that they are read from the image files, or state them"));
    }
    try {
      out.mask = to_rle(scratch, image.height, image.width);
    } catch (const Error& e) {
      throw Error(e.code(), cat(io::field_path(path_, list, raw.index, "segmentation"), ": ", e.what(), " (id ", raw.id, ")"));
    }
    out.mask_box = mask::to_box(out.mask);
    out.foreground = mask::Foreground(out.mask.counts);
  }

  void warn(const std::vector<size_t>& chosen) const {
    int64_t zeros = 0;
    MaskSizes sizes;
    for (const Annotation& annotation : out_.annotations) {
      if (!config_.wants_masks() || annotation.maskless) continue;
      sizes.add(annotation.mask.height, annotation.mask.width, out_.images[annotation.image]);
    }
    if (repeated_images_ > 0) {
      complain(config_, cat("\"", path_, "\": ", repeated_images_, " image(s) have the id of an earlier one: of equal ids the last one ",
                            "holds for all, as in the reference; number the images 1, 2, 3, ... and their annotations with them"));
    }
    const auto is_flat = [](const Image& image) { return image.height >= 0 && !image.has_size(); };
    const auto flat = std::count_if(out_.images.begin(), out_.images.end(), is_flat);
    if (flat > 0 && config_.wants_masks()) {
      complain(config_, cat("\"", path_, "\": ", flat, " image(s) are 0 pixels high or wide, so their polygons can never match, ",
                            "as in the reference; give --images, so that sizes are read from the image files, or state them"));
    }
    sizes.report(config_, path_, "a mask");
    for (const size_t i : chosen) zeros += raws_[i].id == 0;
    if (zeros > 0) {
      log::warning(cat("\"", path_, "\": ", zeros, " annotation(s) have the id 0, which the reference takes for ",
                       "\"unmatched\": their detections count as false positives. Number annotations from 1"));
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
  int64_t repeated_images_ = 0;
};

}  // namespace

GroundTruth load_ground_truth(const std::string& path, const EvalConfig& config, size_t block) {
  GroundTruth out = Loader(path, config).load(block);
  const auto& all = out.annotations;
  if (all.empty()) {
    log::warning(cat("\"", path, "\" has no annotation that counts; every number will be -1"));
  } else if (std::all_of(all.begin(), all.end(), [](const Annotation& one) { return one.ignore; })) {
    log::warning(cat("\"", path, "\" has no annotation that counts: all ", all.size(), " are crowds or are to be ignored; every ",
                     "number will be -1. Single objects must have \"iscrowd\": 0"));
  }
  return out;
}

}  // namespace iuq::eval
