#include "lib/uniq/self_check.h"

#include <torch/types.h>

#include <map>

#include "lib/uniq/equivariance.h"

namespace iuq::uniq {
namespace {

// The best-scoring query of each instance of one image, by annotation id.
std::map<int64_t, int64_t> best_queries(const model::Queries& queries, const view::GroundTruth& truth, int64_t image) {
  const at::Tensor image_of = queries.image.to(at::kCPU);
  const at::Tensor instance = queries.instance.to(at::kCPU);
  const at::Tensor score = queries.score.to(at::kCPU);
  std::map<int64_t, int64_t> best;
  for (int64_t q = 0; q < queries.count(); ++q) {
    if (image_of[q].item<int64_t>() != image) continue;
    const auto [it, is_new] = best.emplace(truth.instance_ids[static_cast<size_t>(instance[q].item<int64_t>())], q);
    if (!is_new && score[q].item<float>() > score[it->second].item<float>()) it->second = q;
  }
  return best;
}

// IoU of two sets of cells [H, W] bool inside `valid`; 1 when both are empty.
double iou(const at::Tensor& a, const at::Tensor& b, const at::Tensor& valid) {
  const double both = (a & b & valid).sum().item<double>();
  const double either = ((a | b) & valid).sum().item<double>();
  return either > 0 ? both / either : 1;
}

}  // namespace

void AgreementSum::add(model::Segmenter& segmenter, const at::Tensor& image, const view::GroundTruth& truth,
                       const view::ViewTransform& g, const std::string& equi_at) {
  const torch::NoGradGuard guard;
  const view::Size canvas{image.size(1), image.size(2)};
  const std::vector<view::GroundTruth> both = {truth, view::transform(truth, g, 1)};
  const auto backbone = segmenter.backbone(at::stack({image, g.apply_image(image)}));
  const model::Encoded encoded = segmenter.encode(backbone, {canvas, {canvas, canvas}});
  const model::Queries queries = segmenter.assign(encoded, both);
  const at::Tensor own = segmenter.mask_logits(queries, encoded.mask_features) > 0;  // [Q, H, W]

  const at::Tensor features = transformed_mask_features(segmenter, backbone, encoded, {g}, equi_at);
  const at::Tensor moved = segmenter.mask_logits(queries, features.expand_as(encoded.mask_features)) > 0;
  const at::Tensor valid = g.valid(canvas, segmenter.mask_stride(), segmenter.alignment()).to(image.device());
  const at::Tensor all = at::ones_like(valid);

  const at::Tensor cells[2] = {segmenter.instance_cells(both[0]), segmenter.instance_cells(both[1])};
  const auto first = best_queries(queries, both[0], 0);
  const auto second = best_queries(queries, both[1], 1);
  for (const auto& [id, query] : second) {
    const auto plain = first.find(id);
    if (plain == first.end()) continue;
    const auto mask_of = [&](int64_t view, int64_t q) { return cells[view][queries.instance[q].item<int64_t>()]; };
    ++sum_.instances;
    sum_.plain += iou(own[plain->second], mask_of(0, plain->second), all);
    sum_.fresh += iou(own[query], mask_of(1, query), valid);
    sum_.moved += iou(moved[query], mask_of(1, query), valid);
  }
}

Agreement AgreementSum::mean() const {
  const double count = sum_.instances > 0 ? static_cast<double>(sum_.instances) : 1.0;
  return {sum_.instances, sum_.plain / count, sum_.fresh / count, sum_.moved / count};
}

}  // namespace iuq::uniq
