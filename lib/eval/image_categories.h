#pragma once

#include <cstdint>
#include <vector>

#include "lib/eval/config.h"
#include "lib/eval/detections.h"
#include "lib/eval/ground_truth.h"

namespace iuq::eval {

/// One image and one category: the pair for which detections are matched, as by evaluateImg() of pycocotools.
struct ImageCategory {
  uint32_t category = 0, image = 0;
  uint32_t gt_begin = 0, gt_end = 0;  // into ImageCategories::gt
  uint32_t dt_begin = 0, dt_end = 0;  // into ImageCategories::dt
  uint32_t out_begin = 0;             // its rows in the match table
  uint32_t out_end = 0;
};

/// Annotations and detections by category, then image. Pairs with neither are absent.
struct ImageCategories {
  std::vector<uint32_t> gt;          // indices into GroundTruth::annotations, in the reference's order within a pair
  std::vector<uint32_t> dt;          // indices into Detections::records, likewise
  std::vector<ImageCategory> list;   // ascending category, then image id
  std::vector<size_t> first;         // [K + 1] pairs of category k are first[k] .. first[k + 1]
  uint32_t rows = 0;                 // detections left after the cut per pair
};

/// Which of the annotations file's categories and images the config asks for. Error(kUsage) for one that is not there.
std::vector<bool> chosen_categories(const GroundTruth& truth, const EvalConfig& config);
std::vector<bool> chosen_images(const GroundTruth& truth, const EvalConfig& config);

/// `type`: annotations without a mask are left out where it is of masks. K is 1 when categories are pooled; then a pair lists
/// its categories one after the other by id.
ImageCategories group(const GroundTruth& truth, const Detections& detections, const EvalConfig& config, IouType type);

}  // namespace iuq::eval
