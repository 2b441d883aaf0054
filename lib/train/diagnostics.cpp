#include "lib/train/diagnostics.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "lib/model/segmenter.h"
#include "lib/train/foreign_pixels.h"
#include "lib/uniq/diagnostics.h"

namespace iuq::train {
namespace {

using nlohmann::json;
using Gradients = std::vector<at::Tensor>;  // undefined where the loss does not depend on the tensor

void put(json& to, const char* key, const std::optional<double>& value) {
  if (value) to[key] = *value;
}

uniq::PixelBatch foreign_pixels(model::Segmenter& segmenter, const Forward& forward, const ForeignPixels* foreign,
                                const uniq::UniqConfig& config, uint64_t seed) {
  if (foreign) return foreign->entries();
  return uniq::sample_pixels(segmenter, forward.encoded.mask_features, forward.batch.truth, forward.queries, config,
                             /*hard=*/{}, seed, forward.step);
}

// The gradient of one term, or of all that the model does without the method, where the two are compared.
struct TermGradient {
  std::string term;
  Gradients queries, mask_features, parameters;
};

Gradients gradients_of(const at::Tensor& loss, const Gradients& inputs) {
  if (!loss.requires_grad() || inputs.empty()) return Gradients(inputs.size());
  return torch::autograd::grad({loss}, inputs, {}, /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
}

/// What gradients are taken with respect to.
class Places {
 public:
  Places(model::Segmenter& segmenter, const Forward& forward) : segmenter_(segmenter), forward_(forward) {
    for (const at::Tensor& tensor : {forward.queries.vectors, forward.encoded.mask_features}) inputs_.push_back(tensor);
    for (const at::Tensor& parameter : segmenter.parameters()) {
      if (parameter.requires_grad()) inputs_.push_back(parameter);
    }
  }

  TermGradient of(const std::string& term, const at::Tensor& loss) const {
    const Gradients all = gradients_of(loss, inputs_);
    return {term, {all[0]}, {all[1]}, {all.begin() + 2, all.end()}};
  }

  // Some segmenters form their base loss past the vectors that the method gets, so its mask part is taken from these anew.
  Gradients of_base_at_queries() const {
    const at::Tensor features = forward_.encoded.mask_features.detach();
    return gradients_of(segmenter_.mask_loss(forward_.queries, features, forward_.batch.truth, {}), {inputs_[0]});
  }

 private:
  model::Segmenter& segmenter_;
  const Forward& forward_;
  Gradients inputs_;
};

std::vector<TermGradient> gradients_by_term(model::Segmenter& segmenter, const Forward& forward,
                                            const std::vector<LossValue>& losses) {
  std::vector<std::pair<std::string, at::Tensor>> sums;
  for (const LossValue& loss : losses) {
    if (sums.empty() || sums.back().first != loss.term) {
      sums.emplace_back(loss.term, loss.weighted);
    } else {
      sums.back().second = sums.back().second + loss.weighted;
    }
  }
  const Places places(segmenter, forward);
  std::vector<TermGradient> out;
  for (const auto& [term, loss] : sums) out.push_back(places.of(term, loss));
  out.front().queries = places.of_base_at_queries();
  return out;
}

json compared(const Gradients& gradient, const Gradients* base) {
  json out = {{"norm", uniq::norm_of(gradient)}};
  if (base) put(out, "cosine", uniq::cosine_of(gradient, *base));
  return out;
}

json gradient_report(const std::vector<TermGradient>& terms) {
  json out = json::object();
  const TermGradient& base = terms.front();
  for (const TermGradient& term : terms) {
    const bool is_base = &term == &base;
    out[term.term] = {{"queries", compared(term.queries, is_base ? nullptr : &base.queries)},
                      {"mask_features", compared(term.mask_features, is_base ? nullptr : &base.mask_features)},
                      {"parameters", compared(term.parameters, is_base ? nullptr : &base.parameters)}};
  }
  return out;
}

}  // namespace

json diagnose(model::Segmenter& segmenter, const Forward& forward, const std::vector<LossValue>& losses,
              const ForeignPixels* foreign, const uniq::UniqConfig& config, uint64_t seed) {
  const Batch& batch = forward.batch;
  const uniq::Firing home =
      uniq::firing_at_home(segmenter, forward.queries, forward.encoded.mask_features, batch.truth, batch.frame);
  json fires = json::object();
  put(fires, "own", home.own);
  put(fires, "other", home.other);
  put(fires, "background", home.background);
  put(fires, "foreign", uniq::firing_on_foreign(segmenter, forward.queries, query_image_ids(forward),
                                                foreign_pixels(segmenter, forward, foreign, config, seed)));
  json out = {{"queries", forward.queries.count()}, {"fires", fires}};
  put(out, "mask_on_other", home.on_other);
  if (!batch.pairs.empty()) {
    const uniq::PairBatch pairs{forward.features, forward.encoded, forward.queries, batch.truth, batch.pairs};
    put(out, "equivariance_iou", uniq::equivariance_iou(segmenter, pairs, config));
  }
  out["gradients"] = gradient_report(gradients_by_term(segmenter, forward, losses));
  return out;
}

}  // namespace iuq::train
