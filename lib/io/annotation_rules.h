#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/io/record_rules.h"

/// What a lawful COCO or LVIS annotations file is, for everything that reads one: a table for each list, in which a line is
///   key, type, required or optional, range, what becomes of a record that is not so (default: the file is refused), the
///   flag without which a required field is required, and the fault that is counted when the value is missing or empty though
///   required, or below its range.
/// The lines are named by the enumerators above the table. Training and its like ask for all that they learn from; an
/// evaluation asks what the reference asks: no more, as files that the reference takes are judged the same here. Of
/// several errors in a record the one of the first line is reported. FORMAT.md says the same for people.
namespace iuq::io {

inline constexpr int64_t kMaxSide = int64_t{1} << 20;    // pixels
inline constexpr int64_t kMaxPixels = int64_t{1} << 30;  // height * width

/// What a reader wants of the file.
struct Wanted {
  bool reference = false;  // judged as the reference evaluators do
  bool lvis = false;       // by the LVIS protocol; with `reference`
  bool masks = true, boxes = true;
};

namespace image_field {
enum : size_t { kId, kHeight, kWidth, kFileName, kCocoUrl, kNegative, kNotExhaustive, kCount };
}
using ImageRules = std::array<FieldRule, image_field::kCount>;
inline constexpr ImageRules image_rules(Wanted wanted) {
  using enum FieldType;
  const bool judged = wanted.reference;
  const Range side = judged ? Range{} : Range{1, static_cast<double>(kMaxSide)};
  const FieldType ids = judged && !wanted.lvis ? kUnread : kWholes;
  const bool listed = judged ? kRequired : kOptional;
  return {{
      {"id", kId, kRequired},
      {"height", kWhole, kOptional, side, Outcome::kRefuse, nullptr, Fault::kNoSize},
      {"width", kWhole, kOptional, side, Outcome::kRefuse, nullptr, Fault::kNoSize},
      {"file_name", kText, kOptional, {}, judged ? Outcome::kAsAbsent : Outcome::kRefuse},  // or coco_url
      {"coco_url", kText, kOptional, {}, judged ? Outcome::kAsAbsent : Outcome::kRefuse},
      {"neg_category_ids", ids, listed},
      {"not_exhaustive_category_ids", ids, listed},
  }};
}

namespace category_field {
enum : size_t { kId, kName, kFrequency, kImageCount, kCount };
}
using CategoryRules = std::array<FieldRule, category_field::kCount>;
inline constexpr CategoryRules category_rules(Wanted wanted) {
  using enum FieldType;
  const bool judged = wanted.reference;
  return {{
      {"id", kWhole, kRequired},
      {"name", kName, judged ? kOptional : kRequired, {}, judged ? Outcome::kAsAbsent : Outcome::kRefuse},
      {"frequency", judged && !wanted.lvis ? kUnread : kFrequency, judged ? kRequired : kOptional},
      {"image_count", judged ? kUnread : kWhole, kOptional, {.low = 0}},
  }};
}

namespace annotation_field {
enum : size_t { kId, kImageId, kCategoryId, kCrowd, kIgnore, kArea, kBox, kSegmentation, kCount };
}
using AnnotationRules = std::array<FieldRule, annotation_field::kCount>;
inline constexpr AnnotationRules annotation_rules(Wanted wanted) {
  using enum FieldType;
  const bool judged = wanted.reference;
  // Of annotations whose image or category is not listed the reference never reads more.
  const Outcome wrong = judged ? Outcome::kRefuseIfCounted : Outcome::kRefuse;
  const Range size = judged ? Range{} : Range{.low = 0};
  const FieldType mask = !wanted.masks ? kUnread : judged ? kReferenceSegmentation : FieldType::kSegmentation;
  return {{
      {"id", kWhole, kRequired},
      {"image_id", kId, kRequired},
      {"category_id", kWhole, kRequired},
      {"iscrowd", wanted.lvis ? kUnread : kFlag, kOptional, {}, wrong},                                  // absent: 0
      {"ignore", judged && wanted.lvis ? kFlag : kUnread, kOptional, {}, wrong},
      // Without area or bbox those of the mask are taken.
      {"area", kNumber, judged, size, wrong, wanted.lvis ? nullptr : "iscrowd", judged ? Fault::kNoArea : Fault::kBadArea},
      {"bbox", wanted.boxes ? FieldType::kBox : kUnread, judged, size, wrong, nullptr, judged ? Fault::kNoBox : Fault::kBadBox},
      {"segmentation", mask, kRequired, {}, wrong, nullptr, Fault::kNoMask},
  }};
}

}  // namespace iuq::io
