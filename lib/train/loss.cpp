#include "lib/train/loss.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/train/foreign_pixels.h"
#include "lib/uniq/equivariance.h"
#include "lib/uniq/inter_scene.h"

namespace iuq::train {
namespace {

LossTerm base_term(model::Segmenter& segmenter) {
  return {.name = "base", .weight = [](int64_t) { return 1.0; }, .values = [&segmenter](const Forward& f) {
            return segmenter.base_losses(f.encoded, f.queries, f.batch.truth);
          }};
}

LossTerm inter_term(model::Segmenter& segmenter, const uniq::UniqConfig& config, ForeignPixels& foreign, uint64_t seed) {
  return {.name = "inter",
          .weight = [&config](int64_t step) { return config.ramp_at(step) * config.inter_weight; },
          .values =
              [&segmenter, &config, &foreign, seed](const Forward& f) {
                return model::Losses{{"inter", uniq::inter_scene_loss(segmenter, f.queries, query_image_ids(f),
                                                                      foreign.entries(), config, seed, f.step)}};
              },
          // Before the values, so that the other images of this batch are among the foreign ones; and while the weight is
          // still 0, so that the memory is full when the term begins.
          .prepare =
              [&segmenter, &foreign](const Forward& f) {
                foreign.push(segmenter, f.batch, f.encoded.mask_features, f.queries, f.step);
              }};
}

LossTerm equi_term(model::Segmenter& segmenter, const uniq::UniqConfig& config) {
  return {.name = "equi",
          .weight = [&config](int64_t step) { return config.equi_weight_at(step); },
          .values = [&segmenter, &config](const Forward& f) {
            const uniq::PairBatch pairs{f.features, f.encoded, f.queries, f.batch.truth, f.batch.pairs};
            return model::Losses{{"equi", uniq::equivariance_loss(segmenter, pairs, config)}};
          }};
}

}  // namespace

std::vector<LossTerm> loss_terms(model::Segmenter& segmenter, const uniq::UniqConfig& config, ForeignPixels* foreign,
                                 uint64_t seed) {
  std::vector<LossTerm> terms = {base_term(segmenter)};
  if (foreign) terms.push_back(inter_term(segmenter, config, *foreign, seed));
  if (config.equi_weight > 0) terms.push_back(equi_term(segmenter, config));
  return terms;
}

at::Tensor query_image_ids(const Forward& forward) {
  std::vector<int64_t> ids;
  for (const view::Instances& truth : forward.batch.truth) ids.push_back(truth.image_id);
  const at::Tensor& image = forward.queries.image;
  return torch::tensor(ids, at::kLong).to(image.device()).index_select(0, image);
}

std::vector<LossValue> evaluate(const std::vector<LossTerm>& terms, const Forward& forward) {
  std::vector<LossValue> out;
  for (const LossTerm& term : terms) {
    if (term.prepare) term.prepare(forward);
    const double weight = term.weight(forward.step);
    IUQ_ASSERT(weight >= 0);
    if (weight == 0) continue;
    for (const auto& [name, value] : term.values(forward)) {
      out.push_back({name, weight, value, weight == 1 ? value : weight * value, term.name});
    }
  }
  return out;
}

at::Tensor total(const std::vector<LossValue>& values) {
  IUQ_ASSERT(!values.empty());
  at::Tensor sum = values.front().weighted;
  for (size_t i = 1; i < values.size(); ++i) sum = sum + values[i].weighted;
  return sum;
}

}  // namespace iuq::train
