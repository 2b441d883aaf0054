#include "lib/eval/result_batch.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/eval/result_rules.h"
#include "lib/eval/segmentation.h"
#include "lib/io/image_names.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

const std::string kTopLevel;  // the section name of a file that is one list

bool has_box(const json& record) {
  const auto box = record.find("bbox");
  return box != record.end() && !(box->is_array() && box->empty());
}

}  // namespace

struct ResultBatch::Plain {
  bool has_image = false, has_category = false, has_score = false, has_box = false, has_mask = false;
  int64_t image_id = 0, category_id = 0;
  std::string_view image_name;  // where the id is a string
  Detection detection;
};

ResultBatch::ResultBatch(ResultRules& rules, TextStore& store)
    : rules_(rules), store_(store), reader_(rules.path, kTopLevel, kResultRules) {}

void ResultBatch::clear() {
  detections.records.clear();
  detections.ids.clear();
  detections.names.clear();
}

bool ResultBatch::plain(size_t, int64_t, io::JsonCursor& cursor) {
  Plain plain;
  if (!read_plain(cursor, plain)) return false;
  if (!rules_.decided) decide(plain.has_box);
  Detection& detection = plain.detection;
  if (!plain.has_image || !plain.has_category || !plain.has_score) return false;
  if ((rules_.boxes_decide && !plain.has_box) || (needs_mask() && !plain.has_mask)) return false;
  mask::Measures measures;
  if (needs_mask()) {
    if (!mask::measure(detection.counts, detection.height, detection.width, counts_, measures)) return false;
    detection.columns = measures.columns;
    detection.counts = rules_.config.wants_masks() ? store_.add(detection.counts) : std::string_view();
  } else {
    detection.counts = {};  // of the first record: read before it was known that masks are not needed
    detection.height = detection.width = 0;
  }
  detection.area = rules_.boxes_decide ? detection.box[2] * detection.box[3] : double(measures.area);
  if (!rules_.boxes_decide && rules_.config.wants_boxes() && !plain.has_box) {
    detection.box = mask::to_box(counts_, detection.height, detection.width);
  }
  keep_name(plain.image_id, plain.image_name);
  push(detection, plain.image_id, plain.category_id);
  return true;
}

bool ResultBatch::needs_mask() const { return !rules_.boxes_decide || rules_.config.wants_masks(); }

bool ResultBatch::read_plain(io::JsonCursor& cursor, Plain& plain) {
  std::string_view key;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    bool ok = false;
    if (key == "image_id") {
      ok = plain.has_image = read_plain_id(cursor, plain);
    } else if (key == "category_id") {
      ok = plain.has_category = cursor.integer(plain.category_id);
    } else if (key == "score") {
      ok = plain.has_score = cursor.number(plain.detection.score);
    } else if (key == "bbox") {
      ok = plain.has_box = cursor.numbers(plain.detection.box.data(), plain.detection.box.size());
    } else if (key == "segmentation" && needs_mask()) {
      ok = plain.has_mask = read_plain_mask(cursor, plain);
    } else {
      ok = cursor.skip_value();
    }
    if (!ok) return false;
  } while (cursor.take(','));
  return cursor.take('}');
}

bool ResultBatch::read_plain_id(io::JsonCursor& cursor, Plain& plain) {
  if (cursor.peek() != '"') return cursor.integer(plain.image_id);
  if (!cursor.string(plain.image_name) || plain.image_name.empty()) return false;
  plain.image_id = io::string_id(plain.image_name);
  return true;
}

// {"size": [height, width], "counts": "..."} and nothing else.
bool ResultBatch::read_plain_mask(io::JsonCursor& cursor, Plain& plain) {
  std::string_view key;
  bool has_size = false, has_counts = false;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    if (key == "size") {
      int64_t height = 0, width = 0;
      has_size = cursor.take('[') && cursor.integer(height) && cursor.take(',') && cursor.integer(width) && cursor.take(']');
      if (!has_size || height < 0 || width < 0 || height > UINT32_MAX || width > UINT32_MAX) return false;
      plain.detection.height = static_cast<uint32_t>(height);
      plain.detection.width = static_cast<uint32_t>(width);
    } else if (key == "counts") {
      has_counts = cursor.string_with_backslashes(plain.detection.counts, unescaped_);
      if (!has_counts) return false;
    } else {
      return false;
    }
  } while (cursor.take(','));
  return cursor.take('}') && has_size && has_counts;
}

void ResultBatch::general(size_t, int64_t index, json& record) {
  using namespace result_field;
  if (!rules_.decided) decide(has_box(record));
  reader_.begin(index, record);
  reader_.read_field(kImageId);
  const int64_t image_id = reader_.integer(kImageId);
  keep_name(image_id, reader_.text(kImageId));
  const GroundTruth& truth = rules_.truth();
  const auto image = truth.image_of.find(image_id);
  Detection detection;
  if (image == truth.image_of.end()) return push(detection, image_id, 0);  // refused later, when all of them are known
  reader_.read_field(kCategoryId);
  reader_.read_field(kScore);
  const int64_t category_id = reader_.integer(kCategoryId);
  detection.score = reader_.number(kScore);
  // What is not listed is never looked at. LVIS cuts over all categories, so there it still takes one of an image's 300.
  if (truth.category_of.count(category_id)) read_shape(record, truth.images[image->second], detection);
  if (strict()) reader_.refuse_nan();
  push(detection, image_id, category_id);
}

void ResultBatch::read_shape(const json& record, const Image& image, Detection& detection) {
  if (rules_.boxes_decide) {
    read_box(detection);
    detection.area = detection.box[2] * detection.box[3];
    if (rules_.config.wants_masks()) read_mask(record, image, detection);
    return;
  }
  read_mask(record, image, detection);
  detection.area = mask_area_;
  if (!rules_.config.wants_boxes()) return;
  if (record.contains("bbox")) return read_box(detection);
  detection.box = mask_box_;
}

void ResultBatch::read_box(Detection& detection) {
  reader_.read_field(result_field::kBox);
  detection.box = reader_.box(result_field::kBox);
}

void ResultBatch::read_mask(const json& record, const Image& image, Detection& detection) {
  using namespace result_field;
  using Kind = io::Segmentation::Kind;
  if (rules_.boxes_decide && !record.contains("segmentation")) {
    const auto& [x, y, w, h] = detection.box;
    io::Segmentation box;
    box.numbers = {x, y, x, y + h, x + w, y + h, x + w, y};
    box.lengths = {8};
    return store_mask(box, image, detection);
  }
  reader_.read_field(kSegmentation);
  const io::Segmentation& segmentation = reader_.segmentation();
  if (!rules_.boxes_decide && segmentation.kind != Kind::kString) {
    reader_.refuse(kSegmentation, " is not a compressed RLE, which results without bbox need");
  }
  store_mask(segmentation, image, detection);
}

void ResultBatch::store_mask(const io::Segmentation& segmentation, const Image& image, Detection& detection) {
  using namespace result_field;
  const bool polygons = segmentation.kind == io::Segmentation::Kind::kPolygons;
  const bool packed = segmentation.kind == io::Segmentation::Kind::kString;
  if (polygons && image.height < 0) {
    reader_.refuse(kImageId, cat(" is ", io::image_text(image.id), ", an image without valid height and width in the annotations"));
  }
  try {
    const mask::Rle rle = to_rle(segmentation, image.height, image.width);
    detection.counts = store_.add(packed ? segmentation.text : mask::to_string(rle));
    detection.height = rle.height;
    detection.width = rle.width;
    mask_area_ = mask::area(rle);
    mask_box_ = mask::to_box(rle);
    detection.columns = {static_cast<uint32_t>(mask_box_[0]), static_cast<uint32_t>(mask_box_[2])};
  } catch (const Error& e) {
    reader_.refuse(kSegmentation, cat(": ", e.what()));
  }
}

void ResultBatch::decide(bool boxes) {
  rules_.boxes_decide = boxes;
  rules_.decided = true;
}

void ResultBatch::keep_name(int64_t id, std::string_view name) {
  const bool again = name.empty() || (!detections.ids.empty() && detections.ids.back()[0] == id);
  if (!again) detections.names.try_emplace(id, name);
}

void ResultBatch::push(const Detection& detection, int64_t image_id, int64_t category_id) {
  detections.records.push_back(detection);
  detections.ids.push_back({image_id, category_id});
}

}  // namespace iuq::eval
