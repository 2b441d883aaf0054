#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lib/train/step.h"

namespace iuq::train {

/// Sums of named values since the last line of metrics.jsonl. Tensors are kept on their device until they are asked for,
/// so that a step costs no synchronisation.
class MetricsWindow {
 public:
  MetricsWindow() = default;
  explicit MetricsWindow(const std::string& saved);  // of saved(); Error(kBadData) if it is something else

  /// The weighted losses and the norm of the gradients.
  void add(const StepResult& result);
  /// Means over the steps so far, as the fields "losses", "loss" (their sum) and "grad_norm"; then empty.
  nlohmann::json take();
  /// Exact text form for a checkpoint. Error(kBadData) when a value is not finite, which JSON could not hold.
  std::string saved() const;
  int64_t images() const { return images_; }
  /// Error(kBadData) unless every value so far is finite, naming the values, `step` (steps done) and the images of the
  /// step. Waits for the device.
  void check_finite(int64_t step, const std::vector<int64_t>& image_ids) const;
  std::string text() const;  // "class 1.2, mask nan"

 private:
  bool is_finite() const;
  nlohmann::json values() const;

  std::vector<std::pair<std::string, at::Tensor>> sums_;  // [] float64
  int64_t steps_ = 0;
  int64_t images_ = 0;  // since the last line in this process, for the rate
};

/// The lines of metrics.jsonl: the means of a window, and fields that are asked for when a line is made.
class MetricsLog {
 public:
  /// Of the steps done, the value of a field.
  using Field = std::function<nlohmann::json(int64_t step)>;

  /// `window` must outlive this. Time runs from here on.
  explicit MetricsLog(MetricsWindow& window) : window_(window) {}
  void add(const std::string& name, Field field);
  /// The next line, for the steps since the last one; empties the window. Besides the fields it has "step", "seconds" since
  /// the last line and "images_per_second".
  nlohmann::json line(int64_t step);

 private:
  using Clock = std::chrono::steady_clock;
  MetricsWindow& window_;
  std::vector<std::pair<std::string, Field>> fields_;
  Clock::time_point since_ = Clock::now();
};

}  // namespace iuq::train
