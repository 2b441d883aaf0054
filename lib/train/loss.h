#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/model/batch.h"
#include "lib/train/batch_source.h"
#include "lib/uniq/config.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::train {

class ForeignPixels;

/// The forward pass of one step: what every loss term is a function of.
struct Forward {
  int64_t step = 0;  // 0-based
  const Batch& batch;
  model::FeaturePyramid features;  // of the backbone
  model::Encoded encoded;
  model::Queries queries;  // assigned to batch.truth
};

/// One source of the loss. loss_terms() lists those of a run.
struct LossTerm {
  std::string name;
  /// Factor on the values at a step (0-based), >= 0; where it is 0 the values are not computed.
  std::function<double(int64_t step)> weight;
  /// One named value ("inter"), or several that share a computation (a segmenter's own losses). The names are the keys in
  /// metrics.jsonl; the values are [] float32, unweighted, with their graph.
  std::function<model::Losses(const Forward&)> values;
  /// What the term does at every step before its values are asked for, whatever its weight is; may be empty.
  std::function<void(const Forward&)> prepare = {};
};

/// One named value of the loss at one step.
struct LossValue {
  std::string name;
  double weight = 1;
  at::Tensor value;     // [] float32, unweighted
  at::Tensor weighted;  // weight * value; the sum over all values is the loss
  std::string term;     // whose value it is: LossTerm::name
};

/// The terms of a run, in the order in which they are added up: the segmenter's own ("base"), "inter" and "equi" as section
/// "uniq" says. The last two rise together along its ramp. All arguments must outlive the result.
///   foreign  the memory that "inter" fills and reads; null without inter_weight
/// The segmenter's own losses carry the weights of section "model" in them and get weight 1 here.
std::vector<LossTerm> loss_terms(model::Segmenter& segmenter, const uniq::UniqConfig& config, ForeignPixels* foreign,
                                 uint64_t seed);

/// The data set's image id of each query: [Q] int64 on the queries' device.
at::Tensor query_image_ids(const Forward& forward);
/// The values of all terms at the step of `forward`.
std::vector<LossValue> evaluate(const std::vector<LossTerm>& terms, const Forward& forward);
/// The loss: [] float32, the sum of the weighted values from first to last. At least one is needed.
at::Tensor total(const std::vector<LossValue>& values);

}  // namespace iuq::train
