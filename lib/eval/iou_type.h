#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iuq::eval {

/// What is compared of a detection and an annotation. All that depends on it is a switch without a default, which
/// -Werror=switch refuses until it knows a new type.
enum class IouType : uint8_t { kSegm, kBbox, kBoundary };

const char* name_of(IouType type);
std::vector<IouType> parse_iou_types(const std::string& text);  // "segm,bbox,boundary", "both" is the first two; Error(kUsage)

/// Whether it compares masks; else it compares boxes.
bool is_of_masks(IouType type);
/// Whether it depends on how wide a boundary is (EvalConfig::boundary_ratio).
bool is_of_boundaries(IouType type);

}  // namespace iuq::eval
