#pragma once

#include <array>
#include <cstddef>

#include "lib/eval/config.h"
#include "lib/io/record_rules.h"

/// What an evaluation asks of its files: a table for each list, in which a line is
///   key, type, required or optional, range, what becomes of a record that is not so (default: the file is refused), and the
///   flag without which a required field is required.
/// The lines are named by the enumerators above the table. It asks what the reference asks: no more, as files that the
/// reference takes are judged the same here, and no less, where the reference ends in a stack trace. Of several
/// faults in a record the one of the first line is reported.
namespace iuq::eval {

namespace image_field {
enum : size_t { kId, kHeight, kWidth, kNegative, kNotExhaustive, kCount };
}
inline std::array<io::FieldRule, image_field::kCount> image_rules(const EvalConfig& config) {
  const io::FieldType ids = config.protocol == Protocol::kLvis ? io::FieldType::kWholes : io::FieldType::kUnread;
  return {{
      {"id", io::FieldType::kWhole, io::kRequired},
      {"height", io::FieldType::kWhole, io::kOptional},  // only polygons need them
      {"width", io::FieldType::kWhole, io::kOptional},
      {"neg_category_ids", ids, io::kRequired},
      {"not_exhaustive_category_ids", ids, io::kRequired},
  }};
}

namespace category_field {
enum : size_t { kId, kName, kFrequency, kCount };
}
inline std::array<io::FieldRule, category_field::kCount> category_rules(const EvalConfig& config) {
  const bool lvis = config.protocol == Protocol::kLvis;
  return {{
      {"id", io::FieldType::kWhole, io::kRequired},
      {"name", io::FieldType::kText, io::kOptional, {}, io::Outcome::kAsAbsent},
      {"frequency", lvis ? io::FieldType::kFrequency : io::FieldType::kUnread, io::kRequired},
  }};
}

namespace annotation_field {
enum : size_t { kId, kImageId, kCategoryId, kCrowd, kIgnore, kArea, kBox, kSegmentation, kCount };
}
inline std::array<io::FieldRule, annotation_field::kCount> annotation_rules(const EvalConfig& config) {
  using enum io::FieldType;
  using io::Outcome;
  const bool lvis = config.protocol == Protocol::kLvis;
  return {{
      {"id", kWhole, io::kRequired},
      {"image_id", kWhole, io::kRequired},
      {"category_id", kWhole, io::kRequired},
      // Of annotations whose image or category is not listed the reference never reads more.
      {"iscrowd", lvis ? kUnread : kFlag, io::kRequired, {}, Outcome::kRefuseIfCounted},
      {"ignore", lvis ? kFlag : kUnread, io::kOptional, {}, Outcome::kRefuseIfCounted},
      {"area", kNumber, io::kRequired, {}, Outcome::kRefuseIfCounted, lvis ? nullptr : "iscrowd"},
      {"bbox", config.wants_boxes() ? kBox : kUnread, io::kRequired, {}, Outcome::kRefuseIfCounted},
      {"segmentation", config.wants_masks() ? kReferenceSegmentation : kUnread, io::kRequired, {}, Outcome::kRefuseIfCounted},
  }};
}

namespace result_field {
enum : size_t { kImageId, kCategoryId, kScore, kBox, kSegmentation, kCount };
}
/// The first record decides whether box or mask is required; see load_detections().
inline constexpr std::array<io::FieldRule, result_field::kCount> kResultRules = {{
    {"image_id", io::FieldType::kWhole, io::kRequired},
    {"category_id", io::FieldType::kWhole, io::kRequired},
    {"score", io::FieldType::kNumber, io::kRequired},
    {"bbox", io::FieldType::kBox, io::kRequired},
    {"segmentation", io::FieldType::kReferenceSegmentation, io::kRequired},
}};

}  // namespace iuq::eval
