#include "lib/eval/overlaps.h"

#include <algorithm>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

}  // namespace

PairsByImage by_image(const EvalInput& input) {
  PairsByImage out;
  const std::vector<ImageCategory>& pairs = input.pairs.list;
  out.first.assign(input.truth.images.size() + 1, 0);
  for (const ImageCategory& pair : pairs) ++out.first[pair.image + 1];
  for (size_t i = 1; i < out.first.size(); ++i) out.first[i] += out.first[i - 1];
  std::vector<size_t> next(out.first.begin(), out.first.end() - 1);
  out.list.resize(pairs.size());
  for (uint32_t c = 0; c < pairs.size(); ++c) out.list[next[pairs[c].image]++] = c;
  return out;
}

ImageView::ImageView(const EvalInput& input, const PairsByImage& pairs, const char* analysis)
    : in_(input), pairs_(pairs) {
  switch (input.type) {
    case IouType::kSegm:
    case IouType::kBbox: return;
    case IouType::kBoundary: break;
  }
  throw Error(ErrorCode::kUsage, cat(analysis, " is not offered for boundary IoU; ask for segm or bbox"));
}

void ImageView::load(size_t image, double min_score) {
  truths_.clear();
  found_.clear();
  for (size_t i = pairs_.first[image]; i < pairs_.first[image + 1]; ++i) {
    add_pair(in_.pairs.list[pairs_.list[i]], min_score);
  }
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& a, const Found& b) { return a.value->score > b.value->score; });
  find_overlaps();
}

void ImageView::add_pair(const ImageCategory& pair, double min_score) {
  const AreaRange& range = in_.config.areas[0];
  for (uint32_t g = pair.gt_begin; g < pair.gt_end; ++g) {
    const Annotation& value = in_.truth.annotations[in_.pairs.gt[g]];
    truths_.push_back({pair.category, g, &value, value.crowd || value.ignore || out_of_range(value.area, range)});
  }
  const std::vector<Detection>& records = in_.detections.records;
  order_.assign(in_.pairs.dt.begin() + pair.dt_begin, in_.pairs.dt.begin() + pair.dt_end);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](uint32_t a, uint32_t b) { return records[a].score > records[b].score; });
  order_.resize(pair.out_end - pair.out_begin);
  const std::vector<int64_t>& partial = in_.truth.images[pair.image].not_exhaustive;
  for (const uint32_t d : order_) {
    const Detection& value = records[d];
    if (value.score < min_score) break;
    const bool is_partial = in_.config.protocol == Protocol::kLvis &&
                            std::binary_search(partial.begin(), partial.end(), in_.truth.categories[value.category].id);
    found_.push_back({pair.category, &value, is_partial || out_of_range(value.area, range)});
  }
}

void ImageView::find_overlaps() {
  overlaps_.clear();
  first_.assign(1, 0);
  for (const Found& found : found_) {
    masks_.begin(*found.value);
    for (uint32_t g = 0; g < truths_.size(); ++g) {
      const double iou = iou_of(*found.value, *truths_[g].value);
      if (iou > 0) overlaps_.push_back({g, iou});
    }
    first_.push_back(overlaps_.size());
  }
}

double ImageView::iou_of(const Detection& detection, const Annotation& annotation) {
  switch (in_.type) {
    case IouType::kSegm: return masks_.with(annotation);
    case IouType::kBbox: return mask::iou(detection.box, annotation.box, annotation.crowd);
    case IouType::kBoundary: break;  // refused above
  }
  return 0;
}

}  // namespace iuq::eval
