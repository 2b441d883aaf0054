#include "lib/uniq/inter_scene.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>

#include "lib/base/rng.h"
#include "lib/model/segmenter.h"
#include "lib/view/shape.h"

namespace iuq::uniq {
namespace {

constexpr int64_t kPairsPerBlock = int64_t{1} << 21;  // 8 MB of logits

}  // namespace

at::Tensor inter_scene_loss(model::Segmenter& segmenter, const model::Queries& all, const at::Tensor& query_image_id,
                            const PixelBatch& negatives, const UniqConfig& config, uint64_t seed, int64_t step) {
  all.check(segmenter.query_width());
  view::expect_shape(query_image_id, {all.count()}, at::kLong, "query_image_id");
  if (all.count() == 0 || negatives.count() == 0) return all.vectors.sum() * 0;
  negatives.check(segmenter.mask_channels());
  model::Queries queries = all;
  at::Tensor image_id = query_image_id;
  if (config.max_queries > 0 && all.count() > config.max_queries) {
    Rng rng(seed, "inter queries", static_cast<uint64_t>(step));
    std::vector<int64_t> rows = rng.sample(all.count(), config.max_queries);
    std::sort(rows.begin(), rows.end());
    const at::Tensor chosen = torch::tensor(rows, at::kLong).to(all.vectors.device());
    queries = all.rows(chosen);
    image_id = query_image_id.index_select(0, chosen);
  }
  const at::Tensor vectors = queries.vectors;  // keeps the graph
  const at::Tensor leaf = vectors.detach().requires_grad_();
  queries.vectors = leaf;

  at::Tensor sum = at::zeros({}, leaf.options().requires_grad(false));
  at::Tensor pairs = at::zeros({}, leaf.options().requires_grad(false));
  at::Tensor gradient = at::zeros_like(vectors, leaf.options().requires_grad(false));
  const int64_t block = std::max<int64_t>(1, kPairsPerBlock / queries.count());
  for (int64_t first = 0; first < negatives.count(); first += block) {
    const int64_t last = std::min(first + block, negatives.count());
    const at::Tensor logits = segmenter.pixel_logits(queries, negatives.pixels.slice(first, last));  // [Q, P]
    const torch::NoGradGuard guard;
    const at::Tensor x = logits.detach();
    // An instance's own pixels must never get the target 0, from whatever view or epoch they are.
    const at::Tensor foreign =
        (image_id.unsqueeze(1) != negatives.image_id.slice(0, first, last).unsqueeze(0)).to(x.scalar_type());
    const at::Tensor p = at::sigmoid(x);
    const at::Tensor s = at::softplus(x);  // -log(1 - p)
    const at::Tensor weight = (config.focal_gamma == 2 ? p * p : p.pow(config.focal_gamma)).mul_(foreign);
    sum += (weight * s).sum();
    pairs += foreign.sum();
    // d/dx p^g s = p^g (g (1 - p) s + p)
    const at::Tensor slope = s.mul_(1 - p).mul_(config.focal_gamma).add_(p).mul_(weight);
    const torch::AutoGradMode on(true);
    gradient += torch::autograd::grad({logits}, {leaf}, {slope})[0];
  }
  const at::Tensor scale = (1 - config.focal_alpha) / pairs.clamp_min(1);
  // The value is `sum`; its gradient with respect to the queries is the one formed above.
  const at::Tensor attached = (vectors * (gradient * scale).detach()).sum();
  return sum * scale + (attached - attached.detach());
}

}  // namespace iuq::uniq
