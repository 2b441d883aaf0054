#include "lib/data/dataset_loader.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"
#include "lib/base/parallel.h"
#include "lib/data/image_header.h"
#include "lib/data/segmentation.h"
#include "lib/io/annotation_rules.h"
#include "lib/io/atomic_file.h"
#include "lib/io/image_names.h"
#include "lib/io/record_reader.h"

namespace iuq::data {
namespace {

constexpr size_t kAnnotationsAtATime = 2048;

namespace image_field = io::image_field;
namespace category_field = io::category_field;
namespace annotation_field = io::annotation_field;

constexpr io::ImageRules kImageRules = io::image_rules({});
constexpr io::AnnotationRules kAnnotationRules = io::annotation_rules({});
constexpr io::CategoryRules kCategoryRules = io::category_rules({});
const std::vector<io::SectionRules> kLists = {
    {"images", kImageRules}, {"annotations", kAnnotationRules}, {"categories", kCategoryRules}};
constexpr size_t kImages = 0, kAnnotations = 1;

/// "a/b/c/d.jpg" -> "c/d.jpg": LVIS states only the address "http://.../train2017/000000391895.jpg".
std::string last_two_parts(std::string_view url) {
  const size_t last = url.rfind('/');
  const size_t before = last == std::string_view::npos || last == 0 ? std::string_view::npos : url.rfind('/', last - 1);
  return std::string(before == std::string_view::npos ? url : url.substr(before + 1));
}

/// The first id that occurs twice in a sorted list.
template <class List, class Id, class Text>
void reject_duplicates(const List& sorted, const std::string& path, const char* section, Id id, Text text) {
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [&](const auto& a, const auto& b) { return id(a) == id(b); });
  if (twice == sorted.end()) return;
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", section, ": the id ", text(id(*twice)), " occurs twice"));
}

}  // namespace

/// A part of the file; what it holds is moved to the data set.
class DatasetLoader::Batch final : public io::RuleBatch {
 public:
  Batch(const std::string& path, bool strict, bool tolerant) : io::RuleBatch(path, kLists, strict), tolerant_(tolerant) {}

  void clear() override {
    images.clear();
    categories.clear();
    annotations.clear();
    pending.clear();
    offsets.clear();
    packed.clear();
    image_records.clear();
    refusals.clear();
    is_lvis = false;
  }

  std::vector<Image> images;
  std::vector<int64_t> image_records;  // of the images
  std::vector<Category> categories;
  std::vector<Annotation> annotations;
  std::vector<Pending> pending;   // of the annotations
  std::vector<size_t> offsets;    // likewise: where in `packed` the segmentation begins
  std::vector<uint8_t> packed;
  std::vector<Refusal> refusals;
  bool is_lvis = false;

 private:
  bool leaves_out(size_t section, const io::RecordReader& record) override {
    if (tolerant_) refusals.push_back({kLists[section].section, record.index(), record.refusal()});
    return tolerant_;
  }

  void add(size_t section, io::RecordReader& record) override {
    if (section == kImages) return add_image(record);
    if (section == kAnnotations) return add_annotation(record);
    add_category(record);
  }

  void add_image(io::RecordReader& record) {
    using namespace image_field;
    Image image;
    image.id = record.integer(kId);
    image.name = record.text(kId);
    if (record.has(kHeight) && record.has(kWidth)) {  // else 0 x 0 until the image's file is asked
      image.height = record.integer(kHeight);
      image.width = record.integer(kWidth);
    }
    if (image.height * image.width > io::kMaxPixels) {
      record.refuse(cat(" has ", image.height, " x ", image.width, " pixels, at most ", io::kMaxPixels, " are supported"));
    }
    const bool by_url = !record.has(kFileName) && record.has(kCocoUrl);
    if (!by_url && !record.has(kFileName)) record.refuse(kFileName, " is missing, must be a string that is not empty");
    image.file_name = by_url ? last_two_parts(record.text(kCocoUrl)) : std::string(record.text(kFileName));
    if (record.has(kNegative)) image.negative = record.integers(kNegative);
    if (record.has(kNotExhaustive)) image.not_exhaustive = record.integers(kNotExhaustive);
    is_lvis = is_lvis || record.has(kNegative) || record.has(kNotExhaustive);
    images.push_back(std::move(image));
    image_records.push_back(record.index());
  }

  void add_category(const io::RecordReader& record) {
    using namespace category_field;
    Category category;
    category.id = record.integer(kId);
    category.name = record.text(kName);
    if (record.has(kFrequency)) category.frequency = record.text(kFrequency);
    if (record.has(kImageCount)) category.image_count = record.integer(kImageCount);
    categories.push_back(std::move(category));
  }

  void add_annotation(const io::RecordReader& record) {
    using namespace annotation_field;
    Annotation annotation;
    annotation.id = record.integer(kId);
    annotation.image_id = record.integer(kImageId);
    annotation.category = record.integer(kCategoryId);  // the id until it is resolved
    annotation.crowd = record.has(kCrowd) && record.flag(kCrowd);
    if (record.has(kArea)) annotation.area = record.number(kArea);
    if (record.has(kBox)) annotation.box = record.box(kBox);
    offsets.push_back(packed.size());
    if (record.has(kSegmentation)) io::pack(record.segmentation(), packed);
    annotations.push_back(annotation);
    // An area of 0 is what some tools write for "not computed".
    pending.push_back({record.index(), 0, annotation.area == 0, !record.has(kBox), false,
                       tolerant_ ? with_absent(record) : record.faults(), record.has(kArea)});
  }

  // With what training replaces without a word, but other readers die of.
  static io::FaultBits with_absent(const io::RecordReader& record) {
    using namespace annotation_field;
    using io::Fault, io::bit_of;
    io::FaultBits faults = record.faults();
    if (!record.has(kCrowd)) faults |= bit_of(Fault::kNoCrowd);
    if (!record.has(kArea) && !(faults & bit_of(Fault::kBadArea))) faults |= bit_of(Fault::kNoArea);
    if (!record.has(kBox) && !(faults & bit_of(Fault::kBadBox))) faults |= bit_of(Fault::kNoBox);
    return faults;
  }

  const bool tolerant_;
};

DatasetLoader::DatasetLoader(const std::string& path, ReadOptions options, size_t block)
    : options_(std::move(options)), threads_(options_.threads > 0 ? options_.threads : usable_threads()), block_(block) {
  set_.path_ = path;
  set_.faults_ = io::FaultTally(options_.strict || options_.tolerant);
}

void DatasetLoader::fail(const std::string& what) const {
  throw Error(ErrorCode::kBadData, cat("\"", set_.path_, "\": ", what));
}

// In the words of io::RecordReader. Comes back when the file is read on without the record.
void DatasetLoader::refuse(const char* section, int64_t record, const std::string& what) {
  if (!options_.tolerant) throw Error(ErrorCode::kBadData, cat(io::field_path(set_.path_, section, record), what));
  const std::lock_guard lock(refusing_);
  set_.refusals_.push_back({section, record, what});
}

Dataset DatasetLoader::load() {
  std::vector<std::string> sections;
  for (const io::SectionRules& list : kLists) sections.push_back(list.section);
  for (const std::string& section : io::ParallelRecords(set_.path_, sections, *this, threads_, block_).finish()) {
    if (section == "annotations" && !set_.images_.empty()) {
      if (!options_.needs_annotations) continue;
      fail("has images but no list \"annotations\"; it can be predicted on and cached, but not learnt from nor judged by");
    }
    fail(cat("the section \"", section, "\" is missing; a COCO or LVIS file is an object with the lists \"images\", ",
             "\"annotations\" and \"categories\""));
  }
  index_categories();
  index_images();
  tie_annotations();
  sort_refusals();
  if (!options_.is_told && !options_.tolerant) set_.faults_.report(set_.path_, io::FaultReader::kTraining, options_.strict);
  return std::move(set_);
}

std::unique_ptr<io::RecordBatch> DatasetLoader::make_batch() {
  return std::make_unique<Batch>(set_.path_, options_.strict, options_.tolerant);
}

void DatasetLoader::take(io::RecordBatch& taken, const io::BatchOrigin& origin) {
  auto& batch = static_cast<Batch&>(taken);
  set_.is_lvis_ = set_.is_lvis_ || batch.is_lvis;
  for (const Image& image : batch.images) io::remember_image_name(image.id, image.name);
  std::move(batch.images.begin(), batch.images.end(), std::back_inserter(set_.images_));
  for (const int64_t record : batch.image_records) image_records_.push_back(origin.first + record);
  for (Refusal& refusal : batch.refusals) {
    refusal.record += origin.first;
    set_.refusals_.push_back(std::move(refusal));
  }
  std::move(batch.categories.begin(), batch.categories.end(), std::back_inserter(set_.categories_));
  if (batch.annotations.empty()) return;
  const size_t needed = set_.annotations_.size() + batch.annotations.size();
  if (needed > set_.annotations_.capacity()) {
    const size_t room = std::max(needed + origin.expected(batch.annotations.size()), needed + needed / 2);
    reserve_huge(set_.annotations_, room);
    reserve_huge(set_.segments_, room);
    reserve_huge(pending_, room);
  }
  set_.annotations_.insert(set_.annotations_.end(), batch.annotations.begin(), batch.annotations.end());
  const uint8_t* const packed = set_.store_.add(batch.packed);
  for (const size_t offset : batch.offsets) set_.segments_.push_back(packed + offset);
  for (Pending pending : batch.pending) {
    pending.record += origin.first;
    pending_.push_back(pending);
  }
}

void DatasetLoader::index_categories() {
  auto& list = set_.categories_;
  if (list.empty()) fail("\"categories\" is empty");
  std::sort(list.begin(), list.end(), [](const Category& a, const Category& b) { return a.id < b.id; });
  reject_duplicates(list, set_.path_, "categories", [](const Category& c) { return c.id; },
                    [](int64_t id) { return std::to_string(id); });
}

// A tolerant reader keeps the first image of an id.
void DatasetLoader::leave_out_repeated_images() {
  std::unordered_set<int64_t> seen;
  size_t kept = 0;
  for (size_t i = 0; i < set_.images_.size(); ++i) {
    if (!seen.insert(set_.images_[i].id).second) {
      refuse("images", image_records_[i], cat(".id is that of an earlier image (id ", set_.images_[i].id_text(), ")"));
      continue;
    }
    if (kept != i) set_.images_[kept] = std::move(set_.images_[i]);
    image_records_[kept++] = image_records_[i];
  }
  set_.images_.resize(kept);
  image_records_.resize(kept);
}

void DatasetLoader::index_images() {
  if (options_.tolerant) leave_out_repeated_images();
  auto& index = set_.image_of_id_;
  for (size_t i = 0; i < set_.images_.size(); ++i) index.emplace_back(set_.images_[i].id, static_cast<int64_t>(i));
  std::sort(index.begin(), index.end());
  reject_duplicates(index, set_.path_, "images", [](const auto& entry) { return entry.first; }, io::image_text);
  for (size_t i = 0; i < set_.images_.size(); ++i) {
    Image& image = set_.images_[i];
    const bool negative = keep_known(image.negative), not_exhaustive = keep_known(image.not_exhaustive);
    if (!negative || !not_exhaustive) set_.faults_.add(io::Fault::kUnknownListed, image_records_[i], image.id, image.id);
    settle_file(image, i);
  }
}

// Size and name as its file has them, where the record does not.
void DatasetLoader::settle_file(Image& image, size_t index) {
  const int64_t record = image_records_[index];
  if (!options_.images.empty() && image.file_name.find('\\') != std::string::npos &&
      !io::exists(io::join(options_.images, image.file_name))) {
    std::string name = image.file_name;
    std::replace(name.begin(), name.end(), '\\', '/');
    if (io::exists(io::join(options_.images, name))) {
      image.file_name = std::move(name);
      set_.faults_.add(io::Fault::kBackslash, record, image.id, image.id);
    }
  }
  if (image.has_size()) return;
  if (options_.images.empty()) {
    return refuse("images", record, cat(" has no height and width that are at least 1 (id ", image.id_text(),
                                        "); give --images, so that they are read from the image files, or state them"));
  }
  set_.faults_.add(io::Fault::kNoSize, record, image.id, image.id);
  try {
    const ImageHeader header = image_header(io::join(options_.images, image.file_name));
    if (header.has_size()) std::tie(image.height, image.width) = header.turned();
  } catch (const Error&) {
    // One image that cannot be used, as others that have a size: whether that ends the run is for usable_images() to say.
  }
}

// From ids to indices, ascending, each once. False if there were unknown ones, which are left out.
bool DatasetLoader::keep_known(std::vector<int64_t>& ids) const {
  for (int64_t& id : ids) id = set_.category_index(id);
  const auto unknown = std::erase(ids, int64_t{-1});
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return unknown == 0;
}

// Annotations whose id an earlier one has: tally_annotations() gives them ids beyond all others, in file order.
void DatasetLoader::mark_repeated_ids() {
  auto& list = set_.annotations_;
  std::vector<std::pair<int64_t, size_t>> ids;  // and where
  ids.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) ids.emplace_back(list[i].id, i);
  std::sort(ids.begin(), ids.end());
  for (size_t i = 1; i < ids.size(); ++i) {
    if (ids[i].first == ids[i - 1].first) pending_[ids[i].second].faults |= io::bit_of(io::Fault::kRepeatedId);
  }
}

void DatasetLoader::tie_annotations() {
  mark_repeated_ids();
  parallel_for(set_.annotations_.size(), kAnnotationsAtATime, threads_, [&](size_t begin, size_t end) {
    io::Segmentation scratch;
    for (size_t i = begin; i < end; ++i) tie(i, scratch);
  });
  tally_annotations();
  drop_annotations();
  group_by_image();
}

void DatasetLoader::tally_annotations() {
  int64_t last = 0;  // ids beyond it are free; where there are none, those of ids that no annotation has
  for (const Annotation& annotation : set_.annotations_) last = std::max(last, annotation.id);
  std::unordered_set<int64_t> taken;
  if (last > std::numeric_limits<int64_t>::max() - std::ssize(pending_)) {
    for (const Annotation& annotation : set_.annotations_) taken.insert(annotation.id);
    last = 0;
  }
  for (size_t i = 0; i < pending_.size(); ++i) {
    Annotation& annotation = set_.annotations_[i];
    if (pending_[i].faults == 0) continue;
    set_.faults_.add(pending_[i].faults, pending_[i].record, annotation.id, annotation.image_id);
    if (!(pending_[i].faults & io::bit_of(io::Fault::kRepeatedId))) continue;
    do ++last;
    while (taken.contains(last));
    annotation.id = last;
  }
}

void DatasetLoader::drop_annotations() {
  size_t kept = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i].dropped) continue;
    if (kept != i) {
      pending_[kept] = pending_[i];
      set_.annotations_[kept] = set_.annotations_[i];
      set_.segments_[kept] = set_.segments_[i];
    }
    ++kept;
  }
  pending_.resize(kept);
  set_.annotations_.resize(kept);
  set_.segments_.resize(kept);
}

void DatasetLoader::tie(size_t index, io::Segmentation& scratch) {
  Annotation& annotation = set_.annotations_[index];
  Pending& pending = pending_[index];
  const int64_t image = set_.image_index(annotation.image_id);
  const int64_t category = set_.category_index(annotation.category);
  if (image < 0) pending.faults = io::bit_of(io::Fault::kUnknownImage);
  if (image >= 0 && category < 0) pending.faults = io::bit_of(io::Fault::kUnknownCategory);
  pending.dropped = image < 0 || category < 0 || (pending.faults & (io::bit_of(io::Fault::kNoMask) | io::bit_of(io::Fault::kNoPolygon))) != 0;
  if (pending.dropped) return;
  annotation.category = category;
  pending.image = static_cast<uint32_t>(image);
  const Image& frame = set_.images_[pending.image];
  if (!frame.has_size()) return;
  try {
    io::unpack(set_.segments_[index], scratch);
    check_segmentation(scratch, frame.height, frame.width);
    if (!pending.needs_area && !pending.needs_box) return;
    const mask::Rle rle = to_mask(scratch, frame.height, frame.width);
    if (pending.needs_area) {
      annotation.area = static_cast<double>(mask::area(rle));
      if (pending.has_area && annotation.area > 0) pending.faults |= io::bit_of(io::Fault::kBadArea);
    }
    if (pending.needs_box) annotation.box = mask::to_box(rle);
  } catch (const Error& e) {
    refuse("annotations", pending.record, cat(".segmentation: ", e.what(), " (id ", annotation.id, ")"));
    pending.dropped = true;
  }
}

// Ties are made in any order.
void DatasetLoader::sort_refusals() {
  const auto place = [](const Refusal& r) { return std::tuple(r.section == "annotations" ? 1 : r.section == "images" ? 0 : 2, r.record); };
  std::stable_sort(set_.refusals_.begin(), set_.refusals_.end(), [&](const Refusal& a, const Refusal& b) { return place(a) < place(b); });
}

void DatasetLoader::group_by_image() {
  for (const Pending& pending : pending_) ++set_.images_[pending.image].count;
  int64_t first = 0;
  for (Image& image : set_.images_) {
    image.first = first;
    first += image.count;
  }
  std::vector<int64_t> next(set_.images_.size());
  for (size_t i = 0; i < next.size(); ++i) next[i] = set_.images_[i].first;
  std::vector<size_t> target(pending_.size());
  for (size_t i = 0; i < target.size(); ++i) target[i] = static_cast<size_t>(next[pending_[i].image]++);
  if (options_.tolerant) {
    for (const Pending& pending : pending_) set_.records_.push_back(pending.record);
  }
  // In place: a second list of a COCO-size file would be the peak of all memory. Each swap puts one annotation where it belongs.
  for (size_t i = 0; i < target.size(); ++i) {
    while (target[i] != i) {
      const size_t to = target[i];
      std::swap(set_.annotations_[i], set_.annotations_[to]);
      std::swap(set_.segments_[i], set_.segments_[to]);
      if (options_.tolerant) std::swap(set_.records_[i], set_.records_[to]);
      std::swap(target[i], target[to]);
    }
  }
}

}  // namespace iuq::data
