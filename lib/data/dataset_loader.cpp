#include "lib/data/dataset_loader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lib/base/error.h"
#include "lib/io/coco_json.h"

namespace iuq::data {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 20;
constexpr int64_t kMaxPixels = int64_t{1} << 30;

/// "a/b/c/d.jpg" -> "c/d.jpg": LVIS states only the address "http://.../train2017/000000391895.jpg".
std::string last_two_parts(const std::string& url) {
  const size_t last = url.rfind('/');
  const size_t before = last == std::string::npos || last == 0 ? std::string::npos : url.rfind('/', last - 1);
  return before == std::string::npos ? url : url.substr(before + 1);
}

std::vector<int64_t> id_list(const Record& record, const char* key) {
  std::vector<int64_t> ids;
  if (!record.has(key)) return ids;
  const auto& list = record.any(key);
  if (!list.is_array()) record.wrong(key, "a list of category ids");
  for (const auto& id : list) {
    if (!id.is_number_integer()) record.wrong(key, "a list of category ids");
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

bool is_crowd(const Record& record) {
  if (!record.has("iscrowd")) return false;
  const auto& value = record.any("iscrowd");
  if (value.is_boolean()) return value.get<bool>();
  if (!value.is_number_integer() || (value != 0 && value != 1)) record.wrong("iscrowd", "0 or 1");
  return value == 1;
}

std::array<double, 4> read_box(const Record& record) {
  const auto& list = record.any("bbox");
  const char* const must = "four numbers [x, y, width, height] with width and height >= 0";
  if (!list.is_array() || list.size() != 4) record.wrong("bbox", must);
  std::array<double, 4> box{};
  for (size_t i = 0; i < 4; ++i) {
    if (!list[i].is_number()) record.wrong("bbox", must);
    box[i] = list[i].get<double>();
  }
  if (!(box[2] >= 0 && box[3] >= 0)) record.wrong("bbox", must);
  return box;
}

/// The first ids of a list, for a message that says which ones there are.
template <class List>
std::string some_ids(const List& list) {
  std::string out;
  for (size_t i = 0; i < list.size() && i < 100; ++i) out += cat(i ? ", " : "", list[i].id);
  return list.size() > 100 ? cat(out, ", ... (", list.size(), " in all)") : out;
}

/// The first id that occurs twice in a sorted list.
template <class List, class Id>
void reject_duplicates(const List& sorted, const std::string& path, const char* section, Id id) {
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [&](const auto& a, const auto& b) { return id(a) == id(b); });
  if (twice == sorted.end()) return;
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", section, ": the id ", id(*twice), " occurs twice"));
}

}  // namespace

void DatasetLoader::fail(const std::string& what) const {
  throw Error(ErrorCode::kBadData, cat("\"", set_.path_, "\": ", what));
}

Dataset DatasetLoader::load() {
  const auto missing = io::stream_json_records(
      set_.path_, {"images", "annotations", "categories"},
      [&](const std::string& section, int64_t index, nlohmann::json& value) {
        const Record record(set_.path_, section, index, value);
        if (section == "images") add_image(record);
        if (section == "categories") add_category(record);
        if (section == "annotations") add_annotation(record, index);
      });
  for (const std::string& section : missing) {
    fail(cat("the section \"", section, "\" is missing; a COCO or LVIS file is an object with the lists \"images\", ",
             "\"annotations\" and \"categories\""));
  }
  index_categories();
  index_images();
  tie_annotations();
  return std::move(set_);
}

void DatasetLoader::add_image(const Record& record) {
  Image image;
  image.id = record.integer("id");
  for (const auto& [key, side] : {std::pair("height", &image.height), std::pair("width", &image.width)}) {
    *side = record.integer(key);
    if (*side < 1 || *side > kMaxSide) record.wrong(key, cat("1..", kMaxSide));
  }
  if (image.height * image.width > kMaxPixels) {
    record.fail(cat("has ", image.height, " x ", image.width, " pixels, at most ", kMaxPixels, " are supported"));
  }
  const bool by_url = !record.has("file_name") && record.has("coco_url");
  image.file_name = by_url ? last_two_parts(record.text("coco_url")) : record.text("file_name");
  image.negative = id_list(record, "neg_category_ids");
  image.not_exhaustive = id_list(record, "not_exhaustive_category_ids");
  set_.is_lvis_ = set_.is_lvis_ || record.has("neg_category_ids") || record.has("not_exhaustive_category_ids");
  set_.images_.push_back(std::move(image));
}

void DatasetLoader::add_category(const Record& record) {
  Category category;
  category.id = record.integer("id");
  category.name = record.text("name");
  if (record.has("frequency")) {
    category.frequency = record.text("frequency");
    const std::string& f = category.frequency;
    if (f != "r" && f != "c" && f != "f") record.wrong("frequency", "\"r\", \"c\" or \"f\"");
  }
  if (record.has("image_count")) {
    category.image_count = record.integer("image_count");
    if (category.image_count < 0) record.wrong("image_count", ">= 0");
  }
  set_.categories_.push_back(std::move(category));
}

void DatasetLoader::add_annotation(const Record& record, int64_t index) {
  Annotation annotation;
  Pending pending;
  pending.record = index;
  annotation.id = record.integer("id");
  annotation.image_id = record.integer("image_id");
  annotation.category = record.integer("category_id");  // the id until it is resolved
  annotation.crowd = is_crowd(record);
  pending.needs_area = !record.has("area");
  if (!pending.needs_area) annotation.area = record.number("area");
  if (!(annotation.area >= 0)) record.wrong("area", ">= 0");
  pending.needs_box = !record.has("bbox");
  if (!pending.needs_box) annotation.box = read_box(record);
  if (!record.has("segmentation")) record.fail("\"segmentation\" is missing; iuq needs masks, not boxes alone");
  try {
    set_.segments_.push_back(set_.pool_.add(record.any("segmentation")));
  } catch (const Error& e) {
    record.fail(e.what());
  }
  set_.annotations_.push_back(annotation);
  pending_.push_back(pending);
}

void DatasetLoader::index_categories() {
  auto& list = set_.categories_;
  if (list.empty()) fail("\"categories\" is empty");
  std::sort(list.begin(), list.end(), [](const Category& a, const Category& b) { return a.id < b.id; });
  reject_duplicates(list, set_.path_, "categories", [](const Category& c) { return c.id; });
}

void DatasetLoader::index_images() {
  auto& index = set_.image_of_id_;
  for (size_t i = 0; i < set_.images_.size(); ++i) index.emplace_back(set_.images_[i].id, static_cast<int64_t>(i));
  std::sort(index.begin(), index.end());
  reject_duplicates(index, set_.path_, "images", [](const auto& entry) { return entry.first; });
  for (Image& image : set_.images_) {
    resolve(image.negative, image, "neg_category_ids");
    resolve(image.not_exhaustive, image, "not_exhaustive_category_ids");
  }
}

void DatasetLoader::resolve(std::vector<int64_t>& ids, const Image& image, const char* key) const {
  for (int64_t& id : ids) {
    const int64_t category = set_.category_index(id);
    if (category < 0) fail(cat("image ", image.id, ": \"", key, "\" has the unknown category ", id));
    id = category;
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

void DatasetLoader::tie_annotations() {
  std::vector<int64_t> ids;
  ids.reserve(set_.annotations_.size());
  for (const Annotation& annotation : set_.annotations_) ids.push_back(annotation.id);
  std::sort(ids.begin(), ids.end());
  reject_duplicates(ids, set_.path_, "annotations", [](int64_t id) { return id; });
  for (size_t i = 0; i < set_.annotations_.size(); ++i) tie(i);
  group_by_image();
}

void DatasetLoader::tie(size_t index) {
  Annotation& annotation = set_.annotations_[index];
  const auto bad = [&](const std::string& what) {
    fail(cat("annotations[", pending_[index].record, "] (id ", annotation.id, "): ", what));
  };
  const int64_t image = set_.image_index(annotation.image_id);
  if (image < 0) {
    bad(cat("\"image_id\" is ", annotation.image_id, ", but no image has this id; \"images\" has ",
            set_.images_.size(), " images: ", some_ids(set_.images_)));
  }
  const int64_t category = set_.category_index(annotation.category);
  if (category < 0) {
    bad(cat("\"category_id\" is ", annotation.category, ", but \"categories\" has the ids ",
            some_ids(set_.categories_)));
  }
  annotation.category = category;
  const Image& frame = set_.images_[static_cast<size_t>(image)];
  try {
    SegmentPool::check(set_.segments_[index], frame.height, frame.width);
    complete_from_mask(annotation, pending_[index], set_.segments_[index], frame);
  } catch (const Error& e) {
    bad(e.what());
  }
}

void DatasetLoader::complete_from_mask(Annotation& annotation, const Pending& pending, SegmentPool::Handle segment,
                                       const Image& image) {
  if (!pending.needs_area && !pending.needs_box) return;
  const mask::Rle rle = SegmentPool::mask(segment, image.height, image.width);
  if (pending.needs_area) annotation.area = static_cast<double>(mask::area(rle));
  if (pending.needs_box) annotation.box = mask::to_box(rle);
}

void DatasetLoader::group_by_image() {
  std::vector<int64_t> image_of(set_.annotations_.size());
  for (size_t i = 0; i < image_of.size(); ++i) {
    image_of[i] = set_.image_index(set_.annotations_[i].image_id);
    ++set_.images_[static_cast<size_t>(image_of[i])].count;
  }
  int64_t first = 0;
  for (Image& image : set_.images_) {
    image.first = first;
    first += image.count;
  }
  std::vector<int64_t> next(set_.images_.size());
  for (size_t i = 0; i < next.size(); ++i) next[i] = set_.images_[i].first;
  std::vector<Annotation> annotations(image_of.size());
  std::vector<SegmentPool::Handle> segments(image_of.size());
  for (size_t i = 0; i < image_of.size(); ++i) {
    const auto to = static_cast<size_t>(next[static_cast<size_t>(image_of[i])]++);
    annotations[to] = set_.annotations_[i];
    segments[to] = set_.segments_[i];
  }
  set_.annotations_ = std::move(annotations);
  set_.segments_ = std::move(segments);
}

}  // namespace iuq::data
