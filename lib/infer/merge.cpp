#include "lib/infer/merge.h"

#include <algorithm>
#include <iterator>

namespace iuq::infer {

std::vector<Detection> merge_detections(std::vector<Detection> plain, std::vector<Detection> other, double max_iou,
                                        int64_t max_detections) {
  std::vector<Detection> all = std::move(plain);
  all.insert(all.end(), std::make_move_iterator(other.begin()), std::make_move_iterator(other.end()));
  std::stable_sort(all.begin(), all.end(), [](const Detection& a, const Detection& b) { return a.score > b.score; });
  std::vector<Detection> kept;
  for (Detection& candidate : all) {
    if (static_cast<int64_t>(kept.size()) == max_detections) break;
    const bool beaten = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
      return better.category == candidate.category && mask::iou(candidate.mask, better.mask, /*crowd=*/false) > max_iou;
    });
    if (!beaten) kept.push_back(std::move(candidate));
  }
  return kept;
}

}  // namespace iuq::infer
