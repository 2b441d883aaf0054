#include "lib/eval/overlaps.h"

#include <algorithm>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

bool out_of_range(double area, const AreaRange& range) { return area < range.low || area > range.high; }

}  // namespace

CellsByImage by_image(const Problem& problem) {
  CellsByImage out;
  const std::vector<Cell>& cells = problem.cells.cells;
  out.first.assign(problem.truth.images.size() + 1, 0);
  for (const Cell& cell : cells) ++out.first[cell.image + 1];
  for (size_t i = 1; i < out.first.size(); ++i) out.first[i] += out.first[i - 1];
  std::vector<size_t> next(out.first.begin(), out.first.end() - 1);
  out.cells.resize(cells.size());
  for (uint32_t c = 0; c < cells.size(); ++c) out.cells[next[cells[c].image]++] = c;
  return out;
}

ImageView::ImageView(const Problem& problem, const CellsByImage& cells, const char* analysis)
    : p_(problem), cells_(cells) {
  switch (problem.type) {
    case IouType::kSegm:
    case IouType::kBbox: return;
    case IouType::kBoundary: break;
  }
  throw Error(ErrorCode::kUsage, cat(analysis, " is not offered for boundary IoU; ask for segm or bbox"));
}

void ImageView::load(size_t image, double min_score) {
  truths_.clear();
  found_.clear();
  for (size_t i = cells_.first[image]; i < cells_.first[image + 1]; ++i) {
    add_cell(p_.cells.cells[cells_.cells[i]], min_score);
  }
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& a, const Found& b) { return a.value->score > b.value->score; });
  find_overlaps();
}

void ImageView::add_cell(const Cell& cell, double min_score) {
  const AreaRange& range = p_.config.areas[0];
  for (uint32_t g = cell.gt_begin; g < cell.gt_end; ++g) {
    const Annotation& value = p_.truth.annotations[p_.cells.gt[g]];
    truths_.push_back({cell.category, g, &value, value.crowd || value.ignore || out_of_range(value.area, range)});
  }
  const std::vector<Detection>& records = p_.detections.records;
  order_.assign(p_.cells.dt.begin() + cell.dt_begin, p_.cells.dt.begin() + cell.dt_end);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](uint32_t a, uint32_t b) { return records[a].score > records[b].score; });
  order_.resize(cell.out_end - cell.out_begin);
  const std::vector<int64_t>& partial = p_.truth.images[cell.image].not_exhaustive;
  for (const uint32_t d : order_) {
    const Detection& value = records[d];
    if (value.score < min_score) break;
    const bool is_partial = p_.config.protocol == Protocol::kLvis &&
                            std::binary_search(partial.begin(), partial.end(), p_.truth.categories[value.category].id);
    found_.push_back({cell.category, &value, is_partial || out_of_range(value.area, range)});
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
  switch (p_.type) {
    case IouType::kSegm: return masks_.with(annotation);
    case IouType::kBbox: return mask::iou(detection.box, annotation.box, annotation.crowd);
    case IouType::kBoundary: break;  // refused above
  }
  return 0;
}

}  // namespace iuq::eval
