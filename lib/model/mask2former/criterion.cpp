#include "lib/model/mask2former/criterion.h"

#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "lib/base/assignment.h"
#include "lib/base/error.h"
#include "lib/io/image_names.h"

namespace iuq::model {
namespace {

using Use = PointRequest::Use;
enum Column : int64_t { kImage, kRound, kQuery, kInstance, kLabel, kColumns };

double instances_of(const std::vector<view::Instances>& truth) {
  int64_t count = 0;
  for (const view::Instances& one : truth) count += one.count();
  return static_cast<double>(std::max<int64_t>(1, count));
}

// Costs of one image in all rounds: [R, N, Q].
at::Tensor costs(const at::Tensor& classes, const at::Tensor& embeddings, const at::Tensor& map,
                 const view::Instances& truth, const Mask2FormerConfig& config, const at::Tensor& points) {
  const at::Tensor logits = embeddings.matmul(read_features(map, points));                       // [R, Q, P]
  const at::Tensor masks = read_all_masks(truth.masks.to(map.device()), points).transpose(1, 2);  // [R, P, N]
  // Mean cross entropy: log(1 + e^x) - x t.
  const double count = static_cast<double>(points.size(1));
  const at::Tensor entropy = (at::softplus(logits).sum(2, true) - logits.matmul(masks)) / count;  // [R, Q, N]
  const at::Tensor p = logits.sigmoid();
  const at::Tensor dice = 1 - (2 * p.matmul(masks) + 1) / (p.sum(2, true) + masks.sum(1, true) + 1);
  const at::Tensor of_class = classes.softmax(2).index_select(2, truth.labels.to(map.device()));
  return (config.mask_weight * entropy + config.dice_weight * dice - config.class_weight * of_class).transpose(1, 2);
}

// Pairs of one image and round at the costs [N, Q], by query.
void add_pairs(const double* cost, int64_t queries, int64_t image, int64_t round, const at::Tensor& labels,
               std::vector<int64_t>& table) {
  const std::vector<int64_t> query_of = assign_rows(cost, labels.size(0), queries);
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (size_t n = 0; n < query_of.size(); ++n) {
    if (query_of[n] >= 0) pairs.emplace_back(query_of[n], static_cast<int64_t>(n));
  }
  std::sort(pairs.begin(), pairs.end());
  for (const auto& [query, instance] : pairs) {
    table.insert(table.end(), {image, round, query, instance, labels[instance].item<int64_t>()});
  }
}

struct PointLosses {
  at::Tensor mask, dice;  // [M] float32
};

// Cross entropy and dice of masks [M, H, W] against instances [M] of `masks`, on the least certain of the candidates
// [M, ., 2] and the uniform points [M, ., 2]. valid [H, W] bool or undefined.
PointLosses point_losses(const at::Tensor& logits, const at::Tensor& masks, const at::Tensor& instance,
                         const at::Tensor& candidates, const at::Tensor& uniform, int64_t uncertain,
                         const at::Tensor& valid) {
  const auto touches_invalid = [&](const at::Tensor& points) {
    return read_features(valid.logical_not().to(logits.scalar_type()).unsqueeze(0), points).select(1, 0) > 0;  // [M, P]
  };
  at::Tensor points, targets, weight;
  {
    const torch::NoGradGuard guard;
    at::Tensor certainty = read_maps(logits, candidates).abs();
    if (valid.defined()) certainty.masked_fill_(touches_invalid(candidates), std::numeric_limits<float>::infinity());
    const at::Tensor chosen = std::get<1>(certainty.topk(uncertain, 1, /*largest=*/false));
    points = at::cat({candidates.gather(1, chosen.unsqueeze(2).expand({-1, -1, 2})), uniform}, 1);
    targets = read_masks(masks, instance, points);
    if (valid.defined()) weight = touches_invalid(points).logical_not().to(logits.scalar_type());
  }
  const at::Tensor read = read_maps(logits, points);  // [M, P]
  at::Tensor entropy = at::binary_cross_entropy_with_logits(read, targets, {}, {}, at::Reduction::None);
  at::Tensor p = read.sigmoid();
  if (weight.defined()) {
    entropy = (entropy * weight).sum(1) / weight.sum(1).clamp_min(1);
    p = p * weight;
    targets = targets * weight;
  } else {
    entropy = entropy.mean(1);
  }
  return {entropy, 1 - (2 * (p * targets).sum(1) + 1) / (p.sum(1) + targets.sum(1) + 1)};
}

// Masks of one image that points are drawn for together.
struct Rows {
  int64_t round, count;
};

// Losses of the masks `vectors` [M, D] on one image's map; the rows of its rounds are M.
PointLosses losses_of_image(const at::Tensor& vectors, const at::Tensor& map, const view::Instances& truth,
                            const at::Tensor& instance, int64_t image, const std::vector<Rows>& rows,
                            const at::Tensor& valid, const Mask2FormerConfig& config, const PointSource& points) {
  const auto share = [&](double factor) { return static_cast<int64_t>(static_cast<double>(config.loss_points) * factor); };
  const int64_t uncertain = share(config.importance);
  std::vector<at::Tensor> candidates, uniform;
  for (const auto& [round, count] : rows) {
    candidates.push_back(points({Use::kCandidates, image, round, count, share(config.oversample)}));
    uniform.push_back(points({Use::kUniform, image, round, count, config.loss_points - uncertain}));
  }
  const at::Tensor logits = vectors.matmul(map.flatten(1)).view({-1, map.size(1), map.size(2)});
  return point_losses(logits, truth.masks.to(map.device()), instance, at::cat(candidates), at::cat(uniform), uncertain,
                      valid);
}

// Rows first to last of the pairs are those of one image.
struct ImagePairs {
  int64_t image, first, last;
  std::vector<Rows> rows;
};

std::vector<ImagePairs> by_image(const at::Tensor& pairs) {
  std::vector<ImagePairs> images;
  const auto table = pairs.accessor<int64_t, 2>();
  for (int64_t i = 0; i < pairs.size(0); ++i) {
    const int64_t image = table[i][kImage], round = table[i][kRound];
    if (images.empty() || images.back().image != image) images.push_back({image, i, i, {}});
    images.back().last = i + 1;
    auto& rows = images.back().rows;
    if (rows.empty() || rows.back().round != round) rows.push_back({round, 0});
    ++rows.back().count;
  }
  return images;
}

// Class losses of all rounds [R], weighted within the mean alone.
at::Tensor class_losses(const std::vector<at::Tensor>& classes, const at::Tensor& pairs, double no_object_weight) {
  const at::Tensor& like = classes.front();  // [B, Q, C + 1]
  const int64_t no_object = like.size(2) - 1;
  const auto count = static_cast<int64_t>(classes.size());
  const at::Tensor table = pairs.to(like.device());
  at::Tensor targets = at::full({count, like.size(0), like.size(1)}, no_object, like.options().dtype(at::kLong));
  targets.index_put_({table.select(1, kRound), table.select(1, kImage), table.select(1, kQuery)}, table.select(1, kLabel));
  at::Tensor weight = at::ones({no_object + 1}, like.options().requires_grad(false));
  weight[no_object].fill_(no_object_weight);
  std::vector<at::Tensor> losses;
  for (int64_t r = 0; r < count; ++r) {
    const at::Tensor& logits = classes[static_cast<size_t>(r)];
    losses.push_back(at::cross_entropy_loss(logits.flatten(0, 1), targets[r].flatten(), weight));
  }
  return at::stack(losses);
}

}  // namespace

at::Tensor match(const Mask2FormerRounds& rounds, const at::Tensor& mask_features,
                 const std::vector<view::Instances>& truth, const Mask2FormerConfig& config, const PointSource& points) {
  const torch::NoGradGuard guard;
  const at::Tensor classes = at::stack(rounds.classes), embeddings = at::stack(rounds.embeddings);  // [R, B, Q, .]
  const int64_t count = classes.size(0), queries = classes.size(2);
  std::vector<at::Tensor> all;
  for (size_t b = 0; b < truth.size(); ++b) {
    const auto image = static_cast<int64_t>(b);
    if (truth[b].count() == 0) continue;
    std::vector<at::Tensor> where;
    for (int64_t r = 0; r < count; ++r) where.push_back(points({Use::kMatching, image, r, 1, config.loss_points}));
    all.push_back(costs(classes.select(1, image), embeddings.select(1, image), mask_features[image], truth[b], config,
                        at::cat(where)).flatten());
  }
  std::vector<int64_t> table;
  if (!all.empty()) {
    const at::Tensor cost = at::cat(all).to(at::kCPU, at::kDouble);  // waits for the device
    int64_t first = 0;
    for (size_t b = 0; b < truth.size(); ++b) {
      const at::Tensor labels = truth[b].labels.to(at::kCPU);
      const int64_t size = truth[b].count() * queries;
      if (!cost.slice(0, first, first + size * count).isfinite().all().item<bool>()) {
        throw Error(ErrorCode::kBadData, cat("the costs of matching image ", io::image_text(truth[b].image_id),
                                             " are not finite; lower train.lr, lengthen train.warmup, or look at it"));
      }
      for (int64_t r = 0; r < count && size > 0; ++r, first += size) {
        add_pairs(cost.data_ptr<double>() + first, queries, static_cast<int64_t>(b), r, labels, table);
      }
    }
  }
  return torch::tensor(table, at::kLong).view({-1, kColumns});
}

Mask2FormerLosses criterion(const Mask2FormerRounds& rounds, const at::Tensor& mask_features, const at::Tensor& pairs,
                            const std::vector<view::Instances>& truth, const Mask2FormerConfig& config,
                            const PointSource& points) {
  const at::Tensor embeddings = at::stack(rounds.embeddings);  // [R, B, Q, D]
  const std::vector<at::Tensor> maps = mask_features.unbind(0);
  // Without pairs the losses are 0 but keep their graph, so that every parameter has a gradient.
  at::Tensor mask = ((embeddings.sum() + mask_features.sum()) * 0).expand({embeddings.size(0)}), dice = mask;
  for (const ImagePairs& own : by_image(pairs)) {
    const at::Tensor table = pairs.slice(0, own.first, own.last).to(mask_features.device());
    const at::Tensor round = table.select(1, kRound);
    const at::Tensor vectors = embeddings.select(1, own.image).index({round, table.select(1, kQuery)});  // [M, D]
    const auto index = static_cast<size_t>(own.image);
    const PointLosses losses = losses_of_image(vectors, maps[index], truth[index], table.select(1, kInstance), own.image,
                                               own.rows, {}, config, points);
    mask = mask.index_add(0, round, losses.mask);
    dice = dice.index_add(0, round, losses.dice);
  }
  const double instances = instances_of(truth);
  return {config.class_weight * class_losses(rounds.classes, pairs, config.no_object_weight),
          config.mask_weight / instances * mask, config.dice_weight / instances * dice};
}

at::Tensor loose_mask_loss(const at::Tensor& vectors, const at::Tensor& image, const at::Tensor& instance,
                           const at::Tensor& mask_features, const std::vector<view::Instances>& truth,
                           const at::Tensor& valid, const Mask2FormerConfig& config, const PointSource& points) {
  at::Tensor sum = (vectors.sum() + mask_features.sum()) * 0;
  const std::vector<at::Tensor> maps = mask_features.unbind(0);
  const at::Tensor image_of = image.to(at::kCPU);
  for (size_t b = 0; b < truth.size(); ++b) {
    const auto index = static_cast<int64_t>(b);
    const at::Tensor rows = at::nonzero(image_of == index).flatten().to(mask_features.device());
    if (rows.size(0) == 0) continue;
    const PointLosses losses =
        losses_of_image(vectors.index_select(0, rows), maps[b], truth[b], instance.index_select(0, rows), index,
                        {{-1, rows.size(0)}}, valid.defined() ? valid[index] : at::Tensor(), config, points);
    sum = sum + config.mask_weight * losses.mask.sum() + config.dice_weight * losses.dice.sum();
  }
  return sum / instances_of(truth);
}

}  // namespace iuq::model
