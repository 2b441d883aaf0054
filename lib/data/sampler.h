#pragma once

#include <cstdint>
#include <vector>

#include "lib/data/annotations.h"

namespace iuq::data {

/// Indices of the images to train on, in file order; with `drop_empty` only those with an annotation that is no crowd.
std::vector<int64_t> training_images(const Dataset& set, bool drop_empty);

/// `count` of `images` (all when there are no more), in their order. Which ones depends on the images' ids alone, so that
/// subsets of one set are nested: those of 40 are among those of 100, whatever the order in the file.
std::vector<int64_t> nested_subset(const Dataset& set, const std::vector<int64_t>& images, int64_t count);

/// How often an epoch should show each of `images`: max over its categories c (crowds aside) of
/// max(1, sqrt(threshold / f_c)), f_c the fraction of `images` that has c.
/// Source: LVIS paper, appendix B.2 (repeat factor sampling),
/// threshold 0.001 there. 0 gives 1 for all.
std::vector<double> repeat_factors(const Dataset& set, const std::vector<int64_t>& images, double threshold);

/// The endless order of training: epoch after epoch, each a fresh permutation. at(p) is a function of (items, seed, p)
/// alone, so resuming needs nothing but the position. Not for several threads at once.
class EpochSampler {
 public:
  /// `items` are returned as they are; `repeats` (>= 1, empty for all 1) is how often each comes per epoch on average:
  /// its fraction is rounded up or down at random, anew in each epoch. Error(kBadData) if there is no item.
  EpochSampler(std::vector<int64_t> items, uint64_t seed, std::vector<double> repeats = {});

  int64_t at(int64_t position);
  int64_t epoch_of(int64_t position);  // zero-based
  int64_t epoch_length(int64_t epoch);

 private:
  std::vector<int64_t> entries_of(int64_t epoch) const;

  std::vector<int64_t> items_;
  uint64_t seed_;
  std::vector<double> repeats_;
  std::vector<int64_t> starts_{0};  // position where each epoch begins, as far as known
  int64_t epoch_ = -1;              // whose order is kept
  std::vector<int64_t> order_;
};

}  // namespace iuq::data
