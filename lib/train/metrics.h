#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/model/segmenter.h"

namespace iuq::train {

/// Sums of named values since the last line of metrics.jsonl. Tensors are kept on their device until they are asked for,
/// so that a step costs no synchronisation.
class MetricsWindow {
 public:
  MetricsWindow() = default;
  explicit MetricsWindow(const std::string& saved);  // of saved()

  void add(const model::Losses& terms, const at::Tensor& gradient_norm, int64_t images);
  /// Means over the steps so far, as the fields "losses", "loss" and "grad_norm"; then empty.
  nlohmann::json take();
  /// Exact text form for a checkpoint.
  std::string saved() const;
  int64_t images() const { return images_; }
  /// Whether every value so far is finite.
  bool is_finite() const;
  std::string text() const;  // "class 1.2, mask nan"

 private:
  nlohmann::json values() const;

  std::vector<std::pair<std::string, at::Tensor>> sums_;  // [] float64
  int64_t steps_ = 0;
  int64_t images_ = 0;  // since the last line in this process, for the rate
};

}  // namespace iuq::train
