#include "lib/uniq/config.h"

#include <algorithm>

namespace iuq::uniq {

ConfigFields UniqConfig::fields() {
  return {
      {"inter_weight", &inter_weight, "weight of the inter-scene loss; the paper does not state one, 1 is our reading",
       Range::at_least(0)},
      {"equi_weight", &equi_weight, "weight, lambda, of the equivariance loss; 3 in the paper", Range::at_least(0)},
      {"start", &start, "steps before either term begins", Range::at_least(0)},
      {"ramp", &ramp, "steps over which both weights rise from 0 to their value", Range::at_least(0)},
      {"memory", &memory, "pixel embeddings kept; paper: \"about 100K\"", Range::at_least(1)},
      {"pixels_per_instance", &pixels_per_instance, "pixels drawn per instance and step; 50 in the paper", Range::at_least(1)},
      {"max_queries", &max_queries, "queries per step that meet the memory, drawn at random; 0: all", Range::at_least(0)},
      {"focal_alpha", &focal_alpha, "the all-zero target weighs 1 - alpha", Range::closed(0, 1)},
      {"focal_gamma", &focal_gamma, "exponent of the focal loss", Range::at_least(0)},
      {"hard_share", &hard_share, "share of pixels_per_instance, at most, that are mined hard pixels (with --negatives)",
       Range::closed(0, 1)},
      {"batching", &batching, "\"mined\": scenes that are confused with one another meet in a batch",
       Range::one_of({"random", "mined"})},
      {"equi_at", &equi_at,
       "where the transform acts: \"backbone\" (exact, recomputes neck and mask branch), \"neck\" (recomputes the mask branch), "
       "\"mask_features\" (nothing; coordinates stay old)",
       Range::one_of({"backbone", "neck", "mask_features"})},
      {"equi_every", &equi_every,
       "the equivariance loss is computed at one of so many steps, and weighs so many times as much there: its cost falls, "
       "its mean stays",
       Range::at_least(1)},
  };
}

void UniqConfig::check() const { check_ranges(*this); }

double UniqConfig::ramp_at(int64_t step) const {
  if (step < start) return 0;
  if (ramp == 0) return 1;
  return std::min(1.0, static_cast<double>(step - start) / static_cast<double>(ramp));
}

double UniqConfig::equi_weight_at(int64_t step) const {
  if ((step + 1) % equi_every != 0) return 0;
  return ramp_at(step) * equi_weight * static_cast<double>(equi_every);
}

}  // namespace iuq::uniq
