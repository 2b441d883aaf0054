#pragma once

#include <array>
#include <cstddef>

#include "lib/io/record_rules.h"

/// What an evaluation asks of a results list; a table as those of io/annotation_rules.h.
namespace iuq::eval {

namespace result_field {
enum : size_t { kImageId, kCategoryId, kScore, kBox, kSegmentation, kCount };
}
/// The first record decides whether box or mask is required; see load_detections().
inline constexpr std::array<io::FieldRule, result_field::kCount> kResultRules = {{
    {"image_id", io::FieldType::kId, io::kRequired},
    {"category_id", io::FieldType::kWhole, io::kRequired},
    {"score", io::FieldType::kNumber, io::kRequired},
    {"bbox", io::FieldType::kBox, io::kRequired},
    {"segmentation", io::FieldType::kReferenceSegmentation, io::kRequired},
}};

}  // namespace iuq::eval
