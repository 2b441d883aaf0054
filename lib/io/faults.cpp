#include "lib/io/faults.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/image_names.h"

namespace iuq::io {
namespace {

constexpr size_t kFirstFew = 5;

struct FaultWords {
  const char* name;        // in JSON
  const char* section;     // whose records have it
  const char* in_record;   // behind `annotations[3]`
  const char* of_many;     // behind "3 annotations of 2 images"
  const char* done;        // by everything but an evaluation
  const char* by_evaluation;
};

constexpr const char* kFromMask = "it is taken from the mask";

// By Fault.
constexpr std::array<FaultWords, static_cast<size_t>(Fault::kCount)> kWords = {{
    {"no_mask", "annotations", ".segmentation is missing or empty", "without segmentation", "they are left out",
     "masks are judged without them"},
    {"no_polygon", "annotations", ".segmentation has no polygon of three points, [[x0, y0, x1, y1, x2, y2, ...]]",
     "whose segmentation has no polygon of three points, [[x0, y0, x1, y1, x2, y2, ...]] (is it pairs [x, y], or a box?)",
     "they are left out", "masks are judged without them"},
    {"thin_part", "annotations", ".segmentation has a polygon of fewer than three points",
     "with a polygon of fewer than three points", "that part is left out", "that part covers nothing"},
    {"no_iscrowd", "annotations", ".iscrowd is missing", "without iscrowd", "it is 0", "it is 0"},
    {"no_area", "annotations", ".area is missing", "without area", kFromMask, kFromMask},
    {"negative_area", "annotations", ".area is 0 or negative", "with an area of 0 or less", kFromMask,
     "it is used as it is, as in the reference, which ignores them"},
    {"no_bbox", "annotations", ".bbox is missing", "without bbox", kFromMask, kFromMask},
    {"bad_bbox", "annotations", ".bbox is empty or of negative size", "with a bbox that is empty or of negative size", kFromMask,
     "it is used as it is, as in the reference"},
    {"repeated_id", "annotations", ".id is that of an earlier annotation", "with the id of an earlier annotation",
     "they are numbered anew",
     "of equal ids the last one holds for all, as in the reference, so the numbers are not to be trusted; number the "
     "annotations 1, 2, 3, ... and evaluate again"},
    {"unknown_image", "annotations", ".image_id is of no image", "with an image_id that is not listed", "they are left out",
     "they do not count"},
    {"unknown_category", "annotations", ".category_id is of no category", "with a category_id that is not listed",
     "they are left out", "they do not count"},
    {"unknown_listed_category", "images", " has an unknown category in neg_category_ids or not_exhaustive_category_ids",
     "with unknown categories in neg_category_ids or not_exhaustive_category_ids", "these are left out", "these are left out"},
    {"no_size", "images", " has no height and width", "without height and width", "they are read from the image files",
     "they are read from the image files"},
    {"backslash", "images", ".file_name has backslashes", "with backslashes in file_name", "they are read as \"/\"",
     "they are read as \"/\""},
}};

const FaultWords& words_of(size_t kind) { return kWords[kind]; }

const char* done_by(FaultReader reader, const FaultWords& words) {
  return reader == FaultReader::kEvaluation ? words.by_evaluation : words.done;
}

std::string counted(int64_t count, std::string what) {
  if (count == 1) what.pop_back();
  return cat(count, " ", what);
}

bool is_of_images(const FaultWords& words) { return std::string_view(words.section) == "images"; }

std::string id_text(const FaultWords& words, int64_t id) { return is_of_images(words) ? image_text(id) : std::to_string(id); }

std::string first_ids(const FaultTally::Kind& kind, const FaultWords& words) {
  std::string out = kind.count == 1 ? "(id " : "(ids ";
  const size_t shown = std::min(kind.cases.size(), kFirstFew);
  for (size_t i = 0; i < shown; ++i) out += cat(i ? ", " : "", id_text(words, kind.cases[i].id));
  return cat(out, static_cast<size_t>(kind.count) > shown ? ", ...)" : ")");
}

}  // namespace

void FaultTally::add(Fault fault, int64_t record, int64_t id, int64_t image) {
  Kind& kind = kinds_[static_cast<size_t>(fault)];
  ++kind.count;
  kind.images.insert(image);
  if (all_ || kind.cases.size() < kFirstFew) kind.cases.push_back({record, id});
}

void FaultTally::add(FaultBits faults, int64_t record, int64_t id, int64_t image) {
  for (unsigned kind = 0; faults != 0; ++kind, faults = static_cast<FaultBits>(faults >> 1)) {
    if (faults & 1) add(static_cast<Fault>(kind), record, id, image);
  }
}

bool FaultTally::empty() const {
  return std::all_of(kinds_.begin(), kinds_.end(), [](const Kind& kind) { return kind.count == 0; });
}

std::string FaultTally::to_text(Fault fault, FaultReader reader) const {
  const Kind& kind = of(fault);
  if (kind.count == 0) return "";
  const FaultWords& words = words_of(static_cast<size_t>(fault));
  const std::string images = is_of_images(words) ? "" : cat(" of ", counted(static_cast<int64_t>(kind.images.size()), "images"));
  return cat(counted(kind.count, words.section), images, " ", words.of_many, " ", first_ids(kind, words), ": ", done_by(reader, words));
}

std::string FaultTally::to_text(FaultReader reader) const {
  std::string out;
  for (size_t i = 0; i < kinds_.size(); ++i) {
    const std::string text = to_text(static_cast<Fault>(i), reader);
    if (!text.empty()) out += cat(out.empty() ? "" : "; ", text);
  }
  return out;
}

std::string FaultTally::to_list() const {
  std::string out;
  for (size_t i = 0; i < kinds_.size(); ++i) {
    const FaultWords& words = words_of(i);
    for (const Case& one : kinds_[i].cases) {
      out += cat(out.empty() ? "" : "\n        ", words.section, "[", one.record, "]", words.in_record, " (id ", id_text(words, one.id), ")");
    }
  }
  return out;
}

nlohmann::json FaultTally::to_json(FaultReader reader) const {
  nlohmann::json out = nlohmann::json::array();
  for (size_t i = 0; i < kinds_.size(); ++i) {
    const Kind& kind = kinds_[i];
    if (kind.count == 0) continue;
    nlohmann::json cases = nlohmann::json::array();
    const FaultWords& words = words_of(i);
    for (const Case& one : kind.cases) {
      cases.push_back({{"index", one.record}, {"id", is_of_images(words) ? image_json(one.id) : nlohmann::json(one.id)}});
    }
    out.push_back({{"kind", words.name}, {"section", words.section}, {"records", kind.count},
                   {"images", kind.images.size()}, {"text", to_text(static_cast<Fault>(i), reader)}, {"done", done_by(reader, words)},
                   {"cases", std::move(cases)}});
  }
  return out;
}

void FaultTally::report(const std::string& path, FaultReader reader, bool strict) const {
  if (empty()) return;
  if (!strict) return log::warning(cat("\"", path, "\": ", to_text(reader), ". --strict lists them all"));
  int64_t count = 0;
  for (const Kind& kind : kinds_) count += kind.count;
  const std::string intro = count == 1 ? "" : cat(count, " faults, which --strict does not let pass:\n        ");
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", intro, to_list()));
}

}  // namespace iuq::io
