#pragma once

#include <vector>

#include "lib/eval/config.h"
#include "lib/eval/ground_truth.h"
#include "lib/eval/segmentation.h"
#include "lib/io/json_cursor.h"

namespace iuq::eval {

/// Reads an image record as the data sets write it, or says false; the general way then has the words.
bool read_plain_image(io::JsonCursor& cursor, bool lvis, Image& image);

/// The same for an annotation: all fields that the evaluation needs, each well-formed.
struct PlainAnnotation {
  Annotation& value;  // but image and category, which are ids still
  Segmentation& segmentation;
  const EvalConfig& config;
  std::vector<double>& scratch;  // storage that is kept between records
  int64_t image_id = 0, category_id = 0;

  bool read(io::JsonCursor& cursor);

 private:
  bool read_flag(io::JsonCursor& cursor, bool& flag);
  bool read_segmentation(io::JsonCursor& cursor);
  bool read_polygons(io::JsonCursor& cursor);
  bool read_counts(io::JsonCursor& cursor);
  bool read_rle(io::JsonCursor& cursor);
};

}  // namespace iuq::eval
