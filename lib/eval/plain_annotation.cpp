#include "lib/eval/plain_annotation.h"

#include <algorithm>

namespace iuq::eval {

bool read_plain_image(io::JsonCursor& cursor, bool lvis, Image& image) {
  std::string_view key;
  bool has_id = false, has_height = false, has_width = false, has_negative = !lvis, has_partial = !lvis;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    bool ok = false;
    if (key == "id") {
      ok = has_id = cursor.integer(image.id);
    } else if (key == "height") {
      ok = has_height = cursor.integer(image.height);
    } else if (key == "width") {
      ok = has_width = cursor.integer(image.width);
    } else if (lvis && key == "neg_category_ids") {
      ok = !has_negative && (has_negative = cursor.integers(image.negative));
    } else if (lvis && key == "not_exhaustive_category_ids") {
      ok = !has_partial && (has_partial = cursor.integers(image.not_exhaustive));
    } else {
      ok = cursor.skip_value();
    }
    if (!ok) return false;
  } while (cursor.take(','));
  std::sort(image.negative.begin(), image.negative.end());
  std::sort(image.not_exhaustive.begin(), image.not_exhaustive.end());
  return cursor.take('}') && has_id && has_height && has_width && has_negative && has_partial;
}

bool PlainAnnotation::read(io::JsonCursor& cursor) {
  const bool lvis = config.protocol == Protocol::kLvis;
  bool has_id = false, has_image = false, has_category = false, has_area = false;
  bool has_crowd = lvis, has_box = !config.wants(IouType::kBbox), has_mask = !config.wants_masks();
  const bool wants_box = !has_box, wants_mask = !has_mask;
  std::string_view key;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    bool ok = false;
    if (key == "id") {
      ok = has_id = cursor.integer(value.id);
    } else if (key == "image_id") {
      ok = has_image = cursor.integer(image_id);
    } else if (key == "category_id") {
      ok = has_category = cursor.integer(category_id);
    } else if (key == "area") {
      ok = has_area = cursor.number(value.area);
    } else if (!lvis && key == "iscrowd") {
      ok = has_crowd = read_flag(cursor, value.crowd);
    } else if (lvis && key == "ignore") {
      ok = read_flag(cursor, value.ignore);
    } else if (wants_box && key == "bbox") {
      ok = has_box = cursor.numbers(value.box.data(), value.box.size());
    } else if (wants_mask && key == "segmentation") {
      ok = !has_mask && (has_mask = read_segmentation(cursor));
    } else {
      ok = cursor.skip_value();
    }
    if (!ok) return false;
  } while (cursor.take(','));
  if (!lvis) value.ignore = value.crowd;
  return cursor.take('}') && has_id && has_image && has_category && has_area && has_crowd && has_box && has_mask;
}

bool PlainAnnotation::read_flag(io::JsonCursor& cursor, bool& flag) {
  int64_t number = 0;
  if (!cursor.integer(number)) return false;
  flag = number != 0;
  return true;
}

bool PlainAnnotation::read_segmentation(io::JsonCursor& cursor) {
  return cursor.peek() == '[' ? read_polygons(cursor) : read_rle(cursor);
}

bool PlainAnnotation::read_polygons(io::JsonCursor& cursor) {
  segmentation.kind = Segmentation::Kind::kPolygons;
  if (!cursor.take('[')) return false;
  do {
    scratch.clear();
    if (!cursor.numbers(scratch)) return false;
    segmentation.polygons.push_back(scratch);
  } while (cursor.take(','));
  return cursor.take(']') && segmentation.polygons[0].size() > 4;
}

bool PlainAnnotation::read_counts(io::JsonCursor& cursor) {
  if (cursor.peek() == '"') {
    std::string_view text;
    std::string unescaped;
    segmentation.kind = Segmentation::Kind::kString;
    if (!cursor.string_with_backslashes(text, unescaped)) return false;
    segmentation.text = text;
    return true;
  }
  std::vector<int64_t> counts;
  segmentation.kind = Segmentation::Kind::kCounts;
  if (!cursor.integers(counts)) return false;
  for (const int64_t count : counts) {
    if (count < 0 || count > UINT32_MAX) return false;
    segmentation.rle.counts.push_back(static_cast<uint32_t>(count));
  }
  return true;
}

bool PlainAnnotation::read_rle(io::JsonCursor& cursor) {
  std::string_view key;
  int64_t height = -1, width = -1;
  bool has_counts = false;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    if (key == "size") {
      const bool ok = cursor.take('[') && cursor.integer(height) && cursor.take(',') && cursor.integer(width) && cursor.take(']');
      if (!ok) return false;
    } else if (key == "counts" && !has_counts) {
      has_counts = read_counts(cursor);
      if (!has_counts) return false;
    } else {
      return false;
    }
  } while (cursor.take(','));
  if (!cursor.take('}') || !has_counts || height < 0 || width < 0 || height > UINT32_MAX || width > UINT32_MAX) return false;
  segmentation.rle.height = static_cast<uint32_t>(height);
  segmentation.rle.width = static_cast<uint32_t>(width);
  return true;
}

}  // namespace iuq::eval
