#pragma once

#include <cstdint>
#include <string>

#include "lib/base/config_fields.h"

namespace iuq::uniq {

/// Section "uniq" of the config: the two terms of instance-unique querying. With both weights 0 a run is the control.
/// fields() says what each field means.
struct UniqConfig {
  double inter_weight = 0;
  double equi_weight = 0;
  int64_t start = 0;
  int64_t ramp = 1000;
  int64_t memory = 100000;
  int64_t pixels_per_instance = 50;
  int64_t max_queries = 0;
  double focal_alpha = 0.25;
  double focal_gamma = 2;
  double hard_share = 0.5;
  std::string batching = "random";
  std::string equi_at = "backbone";
  int64_t equi_every = 1;

  bool uses_memory() const { return inter_weight > 0; }
  /// 0..1: share of the weights at a step.
  double ramp_at(int64_t step) const;
  /// Factor on the equivariance loss at a step: the ramp's share of equi_weight, `equi_every` times as much at every
  /// equi_every-th step and 0 at the others, so that its mean over steps stays what it is.
  double equi_weight_at(int64_t step) const;

  static constexpr const char* kSection = "uniq";
  ConfigFields fields();
  void check() const;
};

}  // namespace iuq::uniq
