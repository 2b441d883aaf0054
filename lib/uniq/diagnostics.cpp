#include "lib/uniq/diagnostics.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/view/shape.h"

namespace iuq::uniq {
namespace {

constexpr int64_t kLogitsPerBlock = int64_t{1} << 21;  // 8 MB

std::optional<double> share(const at::Tensor& part, const at::Tensor& whole) {  // [] int64 each
  const auto count = whole.item<int64_t>();
  if (count == 0) return std::nullopt;
  return static_cast<double>(part.item<int64_t>()) / static_cast<double>(count);
}

// Mean of part / whole [Q] int64 over those whose whole is not 0.
std::optional<double> mean_share(const at::Tensor& part, const at::Tensor& whole) {
  const at::Tensor counts = whole > 0;
  const auto count = counts.sum().item<int64_t>();
  if (count == 0) return std::nullopt;
  const at::Tensor shares = part.to(at::kDouble) / whole.clamp_min(1).to(at::kDouble);
  return (shares * counts).sum().item<double>() / static_cast<double>(count);
}

at::Tensor area_of(const at::Tensor& masks) { return masks.flatten(1).sum(1); }  // [Q, H, W] bool -> [Q] int64

void expect_masks(const at::Tensor& masks, const at::Tensor& like, const char* name) {
  view::expect_shape(masks, {like.size(0), like.size(1), like.size(2)}, at::kBool, name);
}

}  // namespace

Firing firing(const at::Tensor& fired, const at::Tensor& own, const at::Tensor& annotated, const at::Tensor& valid) {
  view::expect_shape(fired, {-1, -1, -1}, at::kBool, "fired");
  expect_masks(own, fired, "own");
  expect_masks(annotated, fired, "annotated");
  expect_masks(valid, fired, "valid");
  const at::Tensor mine = own & valid, other = annotated & ~own & valid, nothing = ~annotated & ~own & valid;
  const at::Tensor on_other = fired & other;
  return {share((fired & mine).sum(), mine.sum()), share(on_other.sum(), other.sum()),
          share((fired & nothing).sum(), nothing.sum()), mean_share(area_of(on_other), area_of(fired & valid))};
}

Firing firing_at_home(model::Segmenter& segmenter, const model::Queries& queries, const at::Tensor& mask_features,
                      const std::vector<view::Instances>& truth, const model::Frame& frame) {
  const torch::NoGradGuard guard;
  view::expect_count(truth.size(), frame.valid.size(), "truth");
  const at::Tensor fired = segmenter.mask_logits(queries, mask_features) > 0;  // [Q, H, W]
  const int64_t stride = segmenter.mask_stride();
  at::Tensor own = at::zeros_like(fired), annotated = at::zeros_like(fired), valid = at::zeros_like(fired);
  for (size_t b = 0; b < truth.size(); ++b) {
    const at::Tensor rows = at::nonzero(queries.image == static_cast<int64_t>(b)).flatten();
    if (rows.size(0) == 0) continue;
    const at::Tensor cells = segmenter.instance_cells(truth[b]).to(fired.device());  // [N, H, W]
    own.index_copy_(0, rows, cells.index_select(0, queries.instance.index_select(0, rows)));
    annotated.index_copy_(0, rows, cells.any(0).expand({rows.size(0), -1, -1}).contiguous());  // [H, W] -> [Qb, H, W]
    at::Tensor filled = at::zeros_like(fired[0]);
    const view::Size size = frame.valid[b];
    filled.slice(0, 0, (size.height + stride - 1) / stride).slice(1, 0, (size.width + stride - 1) / stride).fill_(true);
    valid.index_copy_(0, rows, filled.expand({rows.size(0), -1, -1}).contiguous());
  }
  return firing(fired, own, annotated, valid);
}

std::optional<double> firing_on_foreign(model::Segmenter& segmenter, const model::Queries& queries,
                                        const at::Tensor& query_image_id, const PixelBatch& pixels) {
  const torch::NoGradGuard guard;
  view::expect_shape(query_image_id, {queries.count()}, at::kLong, "query_image_id");
  at::Tensor fired = at::zeros({}, query_image_id.options()), pairs = at::zeros({}, query_image_id.options());
  const int64_t block = std::max<int64_t>(1, kLogitsPerBlock / std::max<int64_t>(1, queries.count()));
  for (int64_t first = 0; first < pixels.count(); first += block) {
    const int64_t last = std::min(first + block, pixels.count());
    const at::Tensor foreign =
        query_image_id.unsqueeze(1) != pixels.image_id.slice(0, first, last).unsqueeze(0);  // [Q, P]
    const at::Tensor fires = segmenter.pixel_logits(queries, pixels.pixels.slice(first, last)) > 0;
    fired += (fires & foreign).sum();
    pairs += foreign.sum();
  }
  return share(fired, pairs);
}

std::optional<double> mean_iou(const at::Tensor& first, const at::Tensor& second, const at::Tensor& valid) {
  view::expect_shape(first, {-1, -1, -1}, at::kBool, "first");
  expect_masks(second, first, "second");
  expect_masks(valid, first, "valid");
  return mean_share(area_of(first & second & valid), area_of((first | second) & valid));
}

std::optional<double> equivariance_iou(model::Segmenter& segmenter, const PairBatch& batch, const UniqConfig& config) {
  IUQ_ASSERT(!batch.pairs.empty());
  const torch::NoGradGuard guard;
  const auto pairs = static_cast<int64_t>(batch.pairs.size());
  const at::Tensor moved =
      transformed_mask_features(segmenter, batch.backbone, batch.encoded, batch.pairs, config.equi_at);  // [P, D, H, W]
  const at::Tensor fresh = batch.encoded.mask_features.slice(0, pairs, 2 * pairs);
  const model::Queries queries = of_second_half(batch.queries, pairs);
  const at::Tensor shown = shown_cells(segmenter, batch.encoded.frame.canvas, batch.pairs, moved.device());
  return mean_iou(segmenter.mask_logits(queries, moved) > 0, segmenter.mask_logits(queries, fresh) > 0,
                  shown.index_select(0, queries.image));
}

double norm_of(const std::vector<at::Tensor>& gradients) {
  double sum = 0;
  for (const at::Tensor& gradient : gradients) {
    if (gradient.defined()) sum += gradient.detach().to(at::kDouble).pow(2).sum().item<double>();
  }
  return std::sqrt(sum);
}

std::optional<double> cosine_of(const std::vector<at::Tensor>& first, const std::vector<at::Tensor>& second) {
  view::expect_count(second.size(), first.size(), "second");
  const double size = norm_of(first) * norm_of(second);
  if (size == 0) return std::nullopt;
  double dot = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    if (!first[i].defined() || !second[i].defined()) continue;
    dot += (first[i].detach().to(at::kDouble) * second[i].detach().to(at::kDouble)).sum().item<double>();
  }
  return dot / size;
}

}  // namespace iuq::uniq
