#include "lib/eval/segmentation.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

constexpr const char* kKey = "segmentation";

// Keys of elements are put together only for a message: most of a file's records are fine.
bool to_u32(const json& value, uint32_t& out) {
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!(number >= 0 && number <= std::numeric_limits<uint32_t>::max())) return false;
  out = static_cast<uint32_t>(number);
  return number == double(out);
}

constexpr const char* kNotU32 = "is not an integer of 0 to 2^32 - 1";

void read_polygons(const Fields& fields, const json& value, Segmentation& out) {
  out.kind = Segmentation::Kind::kPolygons;
  if (value.empty()) fields.fail(kKey, "is an empty list; an annotation needs a polygon or an RLE");
  for (size_t i = 0; i < value.size(); ++i) {
    const json& part = value[i];
    if (!part.is_array()) fields.fail(cat(kKey, "[", i, "]"), "is not a list of numbers x0, y0, x1, y1, ...");
    std::vector<double> numbers;
    numbers.reserve(part.size());
    for (size_t j = 0; j < part.size(); ++j) {
      if (!part[j].is_number()) fields.fail(cat(kKey, "[", i, "][", j, "]"), "is not a number");
      numbers.push_back(part[j].get<double>());
    }
    out.polygons.push_back(std::move(numbers));
  }
  if (out.polygons[0].size() <= 4) {
    fields.fail(cat(kKey, "[0]"), cat("has ", out.polygons[0].size(), " numbers; the first polygon needs three points"));
  }
}

void read_rle(const Fields& fields, const json& value, Segmentation& out) {
  const auto size = value.find("size"), counts = value.find("counts");
  if (size == value.end() || !size->is_array() || size->size() != 2) {
    fields.fail(cat(kKey, ".size"), "is missing or not [height, width]");
  }
  if (!to_u32((*size)[0], out.rle.height)) fields.fail(cat(kKey, ".size[0]"), kNotU32);
  if (!to_u32((*size)[1], out.rle.width)) fields.fail(cat(kKey, ".size[1]"), kNotU32);
  if (counts != value.end() && counts->is_string()) {
    out.kind = Segmentation::Kind::kString;
    out.text = counts->get<std::string>();
  } else if (counts != value.end() && counts->is_array()) {
    out.kind = Segmentation::Kind::kCounts;
    out.rle.counts.resize(counts->size());
    for (size_t i = 0; i < counts->size(); ++i) {
      if (!to_u32((*counts)[i], out.rle.counts[i])) fields.fail(cat(kKey, ".counts[", i, "]"), kNotU32);
    }
  } else {
    fields.fail(cat(kKey, ".counts"), "is missing or neither a string nor a list");
  }
}

}  // namespace

Segmentation read_segmentation(const Fields& fields) {
  const json& value = fields.need(kKey);
  Segmentation out;
  if (value.is_array()) {
    read_polygons(fields, value, out);
  } else if (value.is_object()) {
    read_rle(fields, value, out);
  } else {
    fields.fail(kKey, "is neither a list of polygons nor an RLE object");
  }
  return out;
}

mask::Rle to_rle(Segmentation segmentation, int64_t height, int64_t width) {
  if (segmentation.kind == Segmentation::Kind::kPolygons) {
    return mask::from_polygons(segmentation.polygons, height, width);
  }
  mask::Rle rle = std::move(segmentation.rle);
  if (segmentation.kind == Segmentation::Kind::kString) rle = mask::from_string(segmentation.text, rle.height, rle.width);
  mask::check(rle);
  return rle;
}

}  // namespace iuq::eval
