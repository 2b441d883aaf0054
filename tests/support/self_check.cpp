#include "tests/support/self_check.h"

#include <torch/types.h>

#include <algorithm>

#include "lib/model/segmenter.h"
#include "lib/uniq/best_queries.h"
#include "lib/uniq/equivariance.h"

namespace iuq::uniq {
namespace {

// IoU of two sets of cells [H, W] bool inside `valid`; 1 when both are empty.
double iou(const at::Tensor& a, const at::Tensor& b, const at::Tensor& valid) {
  const double both = (a & b & valid).sum().item<double>();
  const double either = ((a | b) & valid).sum().item<double>();
  return either > 0 ? both / either : 1;
}

}  // namespace

void AgreementSum::add(model::Segmenter& segmenter, const at::Tensor& image, const view::Instances& truth,
                       const view::ViewTransform& g, const std::string& equi_at) {
  const torch::NoGradGuard guard;
  const view::Size canvas{image.size(1), image.size(2)};
  const std::vector<view::Instances> both = {truth, view::transform(truth, g, 1)};
  const auto backbone = segmenter.backbone(at::stack({image, g.apply_image(image)}));
  const model::Encoded encoded = segmenter.encode(backbone, {canvas, {canvas, canvas}});
  const model::Queries queries = segmenter.assign(encoded, both);
  const at::Tensor own = segmenter.mask_logits(queries, encoded.mask_features) > 0;  // [Q, H, W]

  const at::Tensor features = transformed_mask_features(segmenter, backbone, encoded, {g}, equi_at);
  const at::Tensor moved = segmenter.mask_logits(queries, features.expand_as(encoded.mask_features)) > 0;
  const at::Tensor valid = g.valid(canvas, segmenter.mask_stride(), segmenter.alignment()).to(image.device());
  const at::Tensor all = at::ones_like(valid);

  const at::Tensor cells[2] = {segmenter.instance_cells(both[0]), segmenter.instance_cells(both[1])};
  const auto first = best_queries(queries, 0, both[0].count());
  const auto second = best_queries(queries, 1, both[1].count());
  for (int64_t n = 0; n < both[0].count(); ++n) {
    const auto& ids = both[1].instance_ids;
    const auto it = std::find(ids.begin(), ids.end(), both[0].instance_ids[static_cast<size_t>(n)]);
    if (it == ids.end()) continue;
    const int64_t seen = it - ids.begin();
    const int64_t q = first[static_cast<size_t>(n)], query = second[static_cast<size_t>(seen)];
    if (q < 0 || query < 0) continue;
    ++sum_.instances;
    sum_.plain += iou(own[q], cells[0][n], all);
    sum_.fresh += iou(own[query], cells[1][seen], valid);
    sum_.moved += iou(moved[query], cells[1][seen], valid);
  }
}

Agreement AgreementSum::mean() const {
  const double count = sum_.instances > 0 ? static_cast<double>(sum_.instances) : 1.0;
  return {sum_.instances, sum_.plain / count, sum_.fresh / count, sum_.moved / count};
}

}  // namespace iuq::uniq
