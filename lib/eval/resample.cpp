#include "lib/eval/resample.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/base/rng.h"

namespace iuq::eval {
namespace {

size_t index_of_threshold(const EvalConfig& config, double threshold) {
  const auto& all = config.iou_thresholds;
  return static_cast<size_t>(std::find(all.begin(), all.end(), threshold) - all.begin());
}

// The least number of hits out of `asked` whose recall, as it is computed, reaches each of the 101.
void find_needed(uint64_t asked, std::array<uint32_t, kRecalls>& needed) {
  const auto total = double(asked);
  for (size_t r = 0; r < kRecalls; ++r) {
    const double recall = recall_thresholds()[r];
    auto hits = static_cast<uint32_t>(recall * total);
    while (hits > 0 && double(hits - 1) / total >= recall) --hits;
    while (double(hits) / total < recall) ++hits;
    needed[r] = hits;
  }
}

}  // namespace

RankedMatches::RankedMatches(const EvalInput& input, const MatchTable& table)
    : thresholds_(input.config.iou_thresholds.size()),
      categories_(input.pairs.first.size() - 1),
      at50_(index_of_threshold(input.config, .5)),
      at75_(index_of_threshold(input.config, .75)),
      groups_(kAreas * categories_) {
  parallel_for(categories_, 1, input.config.threads, [&](size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) add(input, table, k);
  });
}

void RankedMatches::add(const EvalInput& input, const MatchTable& table, size_t category) {
  struct Scored {
    double score;
    uint32_t row, image;
  };
  std::vector<Scored> order;
  for (size_t c = input.pairs.first[category]; c < input.pairs.first[category + 1]; ++c) {
    const ImageCategory& pair = input.pairs.list[c];
    for (uint32_t row = pair.out_begin; row < pair.out_end; ++row) {
      order.push_back({table.scores[row], row, pair.image});
    }
    for (size_t a = 0; a < kAreas; ++a) {
      const uint32_t count = table.counted[c * kAreas + a];
      if (count > 0) groups_[a * categories_ + category].asked.push_back({pair.image, count});
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const Scored& x, const Scored& y) { return x.score > y.score; });
  const unsigned all = (1u << thresholds_) - 1;
  for (size_t a = 0; a < kAreas; ++a) {
    Group& group = groups_[a * categories_ + category];
    if (group.asked.empty()) continue;
    for (const Scored& detection : order) {
      const size_t at = detection.row * kAreas + a;
      const unsigned matched = table.matched[at], counts = ~unsigned{table.ignored[at]} & all;
      if (counts == 0) continue;
      group.rows.push_back({detection.image, static_cast<ThresholdBits>(counts & matched),
                            static_cast<ThresholdBits>(counts & ~matched)});
    }
    group.rows.shrink_to_fit();
  }
}

StatValues RankedMatches::stats(const std::vector<uint32_t>& weights, Scratch& scratch) const {
  const auto mean = [](double sum, size_t count) { return count == 0 ? -1 : sum / double(count); };
  StatValues out;
  for (size_t a = 0; a < kAreas; ++a) {
    double sum = 0, sum50 = 0, sum75 = 0;
    size_t categories = 0;
    for (size_t k = 0; k < categories_; ++k) {
      const Group& group = groups_[a * categories_ + k];
      uint64_t asked = 0;
      for (const Asked& entry : group.asked) asked += uint64_t{entry.count} * weights[entry.image];
      if (asked == 0) continue;
      ++categories;
      const Precisions sums = sum_precisions(group, asked, weights, scratch);
      sum = std::accumulate(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(thresholds_), sum);
      if (at50_ < thresholds_) sum50 += sums[at50_];
      if (at75_ < thresholds_) sum75 += sums[at75_];
    }
    out[a == 0 ? 0 : a + 2] = mean(sum, categories * thresholds_ * kRecalls);
    if (a > 0) continue;
    out[1] = mean(sum50, at50_ < thresholds_ ? categories * kRecalls : 0);
    out[2] = mean(sum75, at75_ < thresholds_ ? categories * kRecalls : 0);
  }
  return out;
}

RankedMatches::Precisions RankedMatches::sum_precisions(const Group& group, uint64_t asked,
                                                        const std::vector<uint32_t>& weights, Scratch& scratch) const {
  const unsigned all = (1u << thresholds_) - 1;
  std::array<uint64_t, kMaxThresholds> misses{};
  std::array<uint32_t, kMaxThresholds> found{};
  uint64_t misses_of_all = 0;
  for (size_t t = 0; t < thresholds_; ++t) scratch.hits[t].misses.clear(), scratch.hits[t].found.clear();
  for (const Row& row : group.rows) {
    const uint32_t weight = weights[row.image];
    if (row.miss == all) {
      misses_of_all += weight;
      continue;
    }
    if (weight == 0) continue;
    for (unsigned bits = row.miss; bits != 0; bits &= bits - 1) {
      misses[static_cast<size_t>(std::countr_zero(bits))] += weight;
    }
    for (unsigned bits = row.hit; bits != 0; bits &= bits - 1) {
      const auto t = static_cast<size_t>(std::countr_zero(bits));
      found[t] += weight;
      scratch.hits[t].misses.push_back(double(misses_of_all + misses[t]));
      scratch.hits[t].found.push_back(found[t]);
    }
  }
  find_needed(asked, scratch.needed);
  Precisions sums{};
  for (size_t t = 0; t < thresholds_; ++t) {
    const Scratch::Hits& hits = scratch.hits[t];
    size_t left = kRecalls;  // recalls from here on are done
    while (left > 0 && scratch.needed[left - 1] > found[t]) --left;
    double best = 0;
    // From the last hit to the first: the best precision at a hit or beyond it is that of the recalls up to it. Of the
    // copies of a hit the last has the best precision.
    for (size_t i = hits.found.size(); i-- > 0 && left > 0;) {
      const double hit = hits.found[i];
      best = std::max(best, hit / (hits.misses[i] + hit + std::numeric_limits<double>::epsilon()));
      const uint32_t before = i == 0 ? 0 : hits.found[i - 1];
      size_t reached = left;
      while (reached > 0 && (i == 0 || scratch.needed[reached - 1] > before)) --reached;
      sums[t] += best * double(left - reached);
      left = reached;
    }
  }
  return sums;
}

std::vector<uint32_t> draw_images(const std::vector<uint32_t>& at_hand, size_t images, uint64_t seed, uint64_t number) {
  std::vector<uint32_t> weights(images, 0);
  Rng rng(seed, "eval-resample", number);
  for (size_t i = 0; i < at_hand.size(); ++i) {
    ++weights[at_hand[static_cast<size_t>(rng.below(static_cast<int64_t>(at_hand.size())))]];
  }
  return weights;
}

}  // namespace iuq::eval
