#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lib/eval/match.h"

namespace iuq::eval {

inline constexpr std::array<const char*, 6> kComparedStats = {"AP", "AP50", "AP75", "APs", "APm", "APl"};
using StatValues = std::array<double, kComparedStats.size()>;  // at the largest cut; -1 where nothing counts

/// A matched results list made ready to be judged again and again with images counted several times or not at all: what
/// counts of each category, best first. It refers to nothing of the input it is made from.
class RankedMatches {
 public:
  RankedMatches(const EvalInput& input, const MatchTable& table);

  /// Storage of a call, kept between calls; one a thread.
  struct Scratch {
    struct Hits {
      std::vector<double> misses;   // that come before it
      std::vector<uint32_t> found;  // hits up to it
    };
    std::array<Hits, kMaxThresholds> hits;
    std::array<uint32_t, kRecalls> needed;  // hits at which a recall is reached
  };

  /// What evaluating would give if image i (an index into GroundTruth::images) were there weights[i] times, but for the
  /// last digits, as sums are taken in another order. Copies of a detection follow each other in the ranking.
  StatValues stats(const std::vector<uint32_t>& weights, Scratch& scratch) const;

 private:
  // A detection that counts at some threshold, or annotations of an image.
  struct Row {
    uint32_t image;
    ThresholdBits hit, miss;
  };
  struct Asked {
    uint32_t image, count;
  };
  // A category in an area range.
  struct Group {
    std::vector<Row> rows;
    std::vector<Asked> asked;
  };
  using Precisions = std::array<double, kMaxThresholds>;  // the sum over the recalls

  void add(const EvalInput& input, const MatchTable& table, size_t category);
  Precisions sum_precisions(const Group& group, uint64_t asked, const std::vector<uint32_t>& weights,
                            Scratch& scratch) const;

  size_t thresholds_ = 0, categories_ = 0;
  size_t at50_ = 0, at75_ = 0;  // thresholds_ when it is not among them
  std::vector<Group> groups_;   // [A, K]
};

/// How often each of the images at hand is drawn when as many are drawn with replacement; 0 for those not at hand.
/// Depends on seed and number alone.
std::vector<uint32_t> draw_images(const std::vector<uint32_t>& at_hand, size_t images, uint64_t seed, uint64_t number);

}  // namespace iuq::eval
