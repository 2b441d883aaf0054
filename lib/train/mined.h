#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lib/train/batch_plan.h"
#include "lib/view/transform.h"

namespace iuq::data {
class Dataset;
}
namespace iuq::uniq {
class Negatives;
}

// How a training run uses mined negatives: in the frame of its views, and by the indices of its data set.
namespace iuq::train {

/// The pixels of an instance that were mined as hard negatives for queries of other images, hardest first: (x, y) in
/// input pixels of a view of the instance's image. Some may lie outside of the view. Empty when none were mined.
///   to_view  from the image at test size, where mining saw it, to the view
std::vector<std::pair<float, float>> hard_pixels(const uniq::Negatives& negatives, int64_t instance_id,
                                                 const view::ViewTransform& to_view);

/// The scenes that were mined as most confused with a scene, for BatchPlan; those that are not in `dataset` are left out.
/// Both arguments must outlive the result.
HardScenes hard_scenes(const uniq::Negatives& negatives, const data::Dataset& dataset);

}  // namespace iuq::train
