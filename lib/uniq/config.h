#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace iuq::uniq {

/// Section "uniq" of the config: the two terms of instance-unique querying. With both weights 0 a run is the control.
struct UniqConfig {
  double inter_weight = 0;            // of the inter-scene loss, >= 0; the paper does not state one, 1 is our reading
  double equi_weight = 0;             // lambda of the equivariance loss, >= 0; 3 in the paper
  int64_t start = 0;                  // steps before either term begins
  int64_t ramp = 1000;                // steps over which both weights rise from 0 to their value, >= 0
  int64_t memory = 100000;            // pixel embeddings kept, paper "about 100K"
  int64_t pixels_per_instance = 50;   // drawn per instance and step, paper 50
  int64_t max_queries = 0;            // queries per step that meet the memory, drawn at random; 0: all
  double focal_alpha = 0.25;          // the all-zero target weighs 1 - alpha
  double focal_gamma = 2;
  double hard_share = 0.5;            // of pixels_per_instance, at most, that are mined hard pixels (with --negatives)
  std::string batching = "random";    // "mined": scenes that are confused with one another meet in a batch
  std::string equi_at = "backbone";   // where g acts: "backbone" (exact, recomputes neck and mask branch), "neck"
                                      // (recomputes the mask branch), "mask_features" (nothing; coordinates stay old)
  void check() const;
  bool uses_memory() const { return inter_weight > 0; }
  /// 0..1: share of the weights at a step.
  double ramp_at(int64_t step) const;
};
void from_json(const nlohmann::json& j, UniqConfig& config);
void to_json(nlohmann::json& j, const UniqConfig& config);

}  // namespace iuq::uniq
