#include "lib/eval/result_sink.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/eval/fields.h"
#include "lib/eval/segmentation.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

const std::string kTopLevel;  // the section name of a file that is one list

bool has_box(const Fields& fields) {
  const json* box = fields.find("bbox");
  return box && !(box->is_array() && box->empty());
}

/// Reads the shape of one record whose image and category count.
class ShapeReader {
 public:
  ShapeReader(const ResultRules& rules, const Fields& fields, int64_t index, const Image& image, TextStore& store)
      : rules_(rules), fields_(fields), index_(index), image_(image), store_(store) {}

  void read(Detection& detection) {
    if (rules_.boxes_decide) {
      detection.box = fields_.box("bbox");
      detection.area = detection.box[2] * detection.box[3];
      if (rules_.config.wants_masks()) read_mask(detection);
      return;
    }
    read_mask(detection);
    detection.area = mask_area_;
    if (!rules_.config.wants(IouType::kBbox)) return;
    detection.box = fields_.find("bbox") ? fields_.box("bbox") : mask_box_;
  }

 private:
  void read_mask(Detection& detection) {
    Segmentation segmentation;
    if (rules_.boxes_decide && !fields_.find("segmentation")) {
      const auto& [x, y, w, h] = detection.box;
      segmentation.kind = Segmentation::Kind::kPolygons;
      segmentation.polygons = {{x, y, x, y + h, x + w, y + h, x + w, y}};
    } else {
      segmentation = read_segmentation(fields_);
    }
    if (!rules_.boxes_decide && segmentation.kind != Segmentation::Kind::kString) {
      fields_.fail("segmentation", "is not a compressed RLE, which results without bbox need");
    }
    if (segmentation.kind == Segmentation::Kind::kPolygons && (image_.height < 0 || image_.width < 0)) {
      fields_.fail("image_id", cat("is ", image_.id, ", an image without valid height and width in the annotations"));
    }
    try {
      store(std::move(segmentation), detection);
    } catch (const Error& e) {
      throw Error(e.code(), cat(place_of(rules_.path, kTopLevel, index_, "segmentation"), ": ", e.what()));
    }
  }

  void store(Segmentation segmentation, Detection& detection) {
    const bool packed = segmentation.kind == Segmentation::Kind::kString;
    if (packed) detection.counts = store_.add(segmentation.text);
    const mask::Rle rle = to_rle(std::move(segmentation), image_.height, image_.width);
    if (!packed) detection.counts = store_.add(mask::to_string(rle));
    detection.height = rle.height;
    detection.width = rle.width;
    mask_area_ = mask::area(rle);
    mask_box_ = mask::to_box(rle);
    detection.columns = {static_cast<uint32_t>(mask_box_[0]), static_cast<uint32_t>(mask_box_[2])};
  }

  const ResultRules& rules_;
  const Fields& fields_;
  int64_t index_;
  const Image& image_;
  TextStore& store_;
  double mask_area_ = 0;  // of the mask read last
  mask::Box mask_box_{};  // likewise
};

}  // namespace

struct ResultSink::Plain {
  bool has_image = false, has_category = false, has_score = false, has_box = false, has_mask = false;
  int64_t image_id = 0, category_id = 0;
  Detection detection;
};

bool ResultSink::plain(size_t, int64_t, io::JsonCursor& cursor) {
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
    detection.counts = {};  // of the first record: read before it was known that nobody wants it
    detection.height = detection.width = 0;
  }
  detection.area = rules_.boxes_decide ? detection.box[2] * detection.box[3] : double(measures.area);
  if (!rules_.boxes_decide && rules_.config.wants(IouType::kBbox) && !plain.has_box) {
    detection.box = mask::to_box(counts_, detection.height, detection.width);
  }
  push(detection, plain.image_id, plain.category_id);
  return true;
}

bool ResultSink::needs_mask() const { return !rules_.boxes_decide || rules_.config.wants_masks(); }

bool ResultSink::read_plain(io::JsonCursor& cursor, Plain& plain) {
  std::string_view key;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    bool ok = false;
    if (key == "image_id") {
      ok = plain.has_image = cursor.integer(plain.image_id);
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

// {"size": [height, width], "counts": "..."} and nothing else.
bool ResultSink::read_plain_mask(io::JsonCursor& cursor, Plain& plain) {
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

void ResultSink::general(size_t, int64_t index, json& record) {
  const Fields fields(rules_.path, kTopLevel, index, record);
  if (!rules_.decided) decide(has_box(fields));
  Detection detection;
  const int64_t image_id = fields.integer("image_id");
  const GroundTruth& truth = rules_.truth();
  const auto image = truth.image_of.find(image_id);
  if (image == truth.image_of.end()) return push(detection, image_id, 0);  // refused later, when all of them are known
  const int64_t category_id = fields.integer("category_id");
  detection.score = fields.number("score");
  // What is not listed is never looked at. LVIS cuts over all categories, so there it still takes a place.
  if (truth.category_of.count(category_id)) {
    ShapeReader(rules_, fields, index, truth.images[image->second], store_).read(detection);
  }
  push(detection, image_id, category_id);
}

void ResultSink::decide(bool boxes) {
  rules_.boxes_decide = boxes;
  rules_.decided = true;
}

void ResultSink::push(const Detection& detection, int64_t image_id, int64_t category_id) {
  out_.records.push_back(detection);
  out_.ids.push_back({image_id, category_id});
}

}  // namespace iuq::eval
