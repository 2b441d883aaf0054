#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/io/record_rules.h"

/// What training asks of an annotation file: a table for each list, in which a line is
///   key, type, required or optional, range, what becomes of a record that is not so (default: the file is refused).
/// The lines are named by the enumerators above the table, in the same order; what is done with a value is in
/// dataset_loader.cpp. Of several faults in a record the one of the first line is reported.
namespace iuq::data {

inline constexpr int64_t kMaxSide = int64_t{1} << 20;    // pixels
inline constexpr int64_t kMaxPixels = int64_t{1} << 30;  // height * width

namespace image_field {
enum : size_t { kId, kHeight, kWidth, kFileName, kCocoUrl, kNegative, kNotExhaustive, kCount };
}
inline constexpr std::array<io::FieldRule, image_field::kCount> kImageRules = {{
    {"id", io::FieldType::kInteger, io::kRequired},
    {"height", io::FieldType::kInteger, io::kRequired, {1, kMaxSide}},
    {"width", io::FieldType::kInteger, io::kRequired, {1, kMaxSide}},
    {"file_name", io::FieldType::kText, io::kOptional},  // or coco_url
    {"coco_url", io::FieldType::kText, io::kOptional},
    {"neg_category_ids", io::FieldType::kIntegers, io::kOptional},
    {"not_exhaustive_category_ids", io::FieldType::kIntegers, io::kOptional},
}};

namespace category_field {
enum : size_t { kId, kName, kFrequency, kImageCount, kCount };
}
inline constexpr std::array<io::FieldRule, category_field::kCount> kCategoryRules = {{
    {"id", io::FieldType::kInteger, io::kRequired},
    {"name", io::FieldType::kText, io::kRequired},
    {"frequency", io::FieldType::kFrequency, io::kOptional},
    {"image_count", io::FieldType::kInteger, io::kOptional, {.low = 0}},
}};

namespace annotation_field {
enum : size_t { kId, kImageId, kCategoryId, kCrowd, kArea, kBox, kSegmentation, kCount };
}
inline constexpr std::array<io::FieldRule, annotation_field::kCount> kAnnotationRules = {{
    {"id", io::FieldType::kInteger, io::kRequired},
    {"image_id", io::FieldType::kInteger, io::kRequired},
    {"category_id", io::FieldType::kInteger, io::kRequired},
    {"iscrowd", io::FieldType::kBit, io::kOptional},                // absent: 0
    {"area", io::FieldType::kNumber, io::kOptional, {.low = 0}},    // absent: that of the mask
    {"bbox", io::FieldType::kBox, io::kOptional, {.low = 0}},       // absent: that of the mask
    {"segmentation", io::FieldType::kSegmentation, io::kRequired},  // iuq learns masks; boxes alone do not do
}};

// Each enumerator has its line.
static_assert(kImageRules.back().key && kCategoryRules.back().key && kAnnotationRules.back().key);

}  // namespace iuq::data
