#include "lib/eval/match.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lib/base/huge_pages.h"
#include "lib/base/parallel.h"
#include "lib/eval/mask_iou.h"
#include "lib/eval/overlaps.h"

namespace iuq::eval {
namespace {

constexpr double kAlmostOne = 1 - 1e-10;  // the reference's cap on a threshold
constexpr size_t kPairsAtATime = 1024;


// An annotation of the pair at hand.
struct Truth {
  const Annotation* value;
  std::array<bool, kAreas> ignored{};
  std::array<ThresholdBits, kAreas> taken{};  // the thresholds at which a detection has it
};

struct Ranked {
  double score;
  uint32_t position;  // into ImageCategories::dt
};

struct Candidate {
  uint32_t gt;  // within the pair
  double iou;
};

// Matches pair after pair, keeping its storage.
class Matcher {
 public:
  Matcher(const EvalInput& input, MatchTable& out) : in_(input), out_(out) {}

  void run(size_t index) {
    pair_ = &in_.pairs.list[index];
    sort_detections();
    load_truths(index);
    const bool partial = is_partial();
    for (size_t d = 0; d < ranked_.size(); ++d) {
      find_candidates(dt(d));
      for (size_t a = 0; a < kAreas; ++a) match_detection(d, a, partial);
    }
  }

 private:
  const Detection& dt(size_t d) const { return in_.detections.records[in_.pairs.dt[ranked_[d].position]]; }

  // By falling score; equals stay in the order of the pair.
  void sort_detections() {
    ranked_.clear();
    for (uint32_t d = pair_->dt_begin; d < pair_->dt_end; ++d) {
      ranked_.push_back({in_.detections.records[in_.pairs.dt[d]].score, d});
    }
    std::sort(ranked_.begin(), ranked_.end(), [](const Ranked& x, const Ranked& y) {
      return x.score > y.score || (x.score == y.score && x.position < y.position);
    });
    ranked_.resize(pair_->out_end - pair_->out_begin);
    for (size_t d = 0; d < ranked_.size(); ++d) out_.scores[pair_->out_begin + d] = ranked_[d].score;
  }

  void load_truths(size_t index) {
    truths_.clear();
    for (uint32_t g = pair_->gt_begin; g < pair_->gt_end; ++g) {
      Truth truth{&in_.truth.annotations[in_.pairs.gt[g]]};
      for (size_t a = 0; a < kAreas; ++a) {
        truth.ignored[a] = truth.value->ignore || out_of_range(truth.value->area, in_.config.areas[a]);
        out_.counted[index * kAreas + a] += !truth.ignored[a];
      }
      truths_.push_back(truth);
    }
  }

  // LVIS: the category is not annotated in full in this image.
  bool is_partial() const {
    if (in_.config.protocol != Protocol::kLvis) return false;
    const auto& partial = in_.truth.images[pair_->image].not_exhaustive;
    return std::binary_search(partial.begin(), partial.end(), in_.truth.categories[pair_->category].id);
  }

  // What the detection can match at any threshold. An overlap below all of them has no influence, so it is not kept.
  void find_candidates(const Detection& d) {
    candidates_.clear();
    highest_ = 0;
    masks_.begin(d);
    has_boundary_ = false;
    for (uint32_t g = 0; g < truths_.size(); ++g) {
      const double iou = iou_of(d, *truths_[g].value);
      if (iou < in_.config.iou_thresholds[0]) continue;
      candidates_.push_back({g, iou});
      // Not a number, of boxes beyond measure, is below no threshold.
      highest_ = std::isnan(iou) ? std::numeric_limits<double>::infinity() : std::max(highest_, iou);
    }
  }

  double iou_of(const Detection& d, const Annotation& g) {
    switch (in_.type) {
      case IouType::kSegm: return masks_.with(g);
      case IouType::kBbox: return mask::iou(d.box, g.box, g.crowd);
      case IouType::kBoundary: {
        const double iou = masks_.with(g);
        // A crowd is a region without outlines of its own.
        return g.crowd || iou < in_.config.iou_thresholds[0] ? iou : std::min(iou, boundary_iou(g));
      }
    }
    return 0;
  }

  double boundary_iou(const Annotation& g) {
    if (!has_boundary_) boundary_ = boundary_of(masks_.mask());
    has_boundary_ = true;
    return mask::iou(boundary_, boundary_of(g.mask), false);
  }

  // As wide as the boundary IoU API has it: Python's round() takes halves to even, and so does nearbyint().
  mask::Rle boundary_of(const mask::Rle& rle) const {
    const double diagonal = std::sqrt(double(rle.height) * rle.height + double(rle.width) * rle.width);
    return mask::boundary(rle, static_cast<uint32_t>(std::max(1.0, std::nearbyint(in_.config.boundary_ratio * diagonal))));
  }

  void match_detection(size_t d, size_t a, bool partial) {
    ThresholdBits matched = 0, ignored = 0;
    const std::vector<double>& thresholds = in_.config.iou_thresholds;
    for (size_t t = 0; t < thresholds.size(); ++t) {
      const double threshold = std::min(thresholds[t], kAlmostOne);
      if (candidates_.empty() || highest_ < threshold) break;  // and so it is at all that follow
      Truth* const truth = best_for(threshold, t, a);
      if (!truth) continue;
      const auto bit = static_cast<ThresholdBits>(1u << t);
      truth->taken[a] |= bit;
      if (truth->ignored[a]) ignored |= bit;
      // The reference stores the id of the match and later asks whether it is zero.
      if (truth->value->id != 0) matched |= bit;
    }
    if (partial || out_of_range(dt(d).area, in_.config.areas[a])) ignored |= static_cast<ThresholdBits>(~matched);
    const size_t row = (pair_->out_begin + d) * kAreas + a;
    out_.matched[row] = matched;
    out_.ignored[row] = ignored;
  }

  // The annotation that the detection takes at threshold t, or null: the best that is free, of equals the last, and an
  // ignored one only where no other qualifies.
  Truth* best_for(double threshold, size_t t, size_t a) {
    double best = threshold;
    Truth* found = nullptr;
    for (const bool ignored : {false, true}) {
      for (const Candidate& candidate : candidates_) {
        Truth& truth = truths_[candidate.gt];
        if (truth.ignored[a] != ignored || candidate.iou < best) continue;
        if ((truth.taken[a] >> t & 1) && !truth.value->crowd) continue;
        best = candidate.iou;
        found = &truth;
      }
      if (found) break;
    }
    return found;
  }

  const EvalInput& in_;
  MatchTable& out_;
  const ImageCategory* pair_ = nullptr;
  std::vector<Ranked> ranked_;         // detections, after the cut
  std::vector<Truth> truths_;          // in file order
  std::vector<Candidate> candidates_;  // of the detection at hand, likewise
  double highest_ = 0;                 // IoU among them
  MaskIou masks_;                      // of the detection at hand
  mask::Rle boundary_;                 // of its mask, once it was needed
  bool has_boundary_ = false;
};

}  // namespace

MatchTable match(const EvalInput& input) {
  const size_t rows = input.pairs.rows, pairs = input.pairs.list.size();
  MatchTable out;
  reserve_huge(out.scores, rows);
  reserve_huge(out.matched, rows * kAreas);
  reserve_huge(out.ignored, rows * kAreas);
  out.scores.resize(rows);
  out.matched.resize(rows * kAreas);
  out.ignored.resize(rows * kAreas);
  out.counted.resize(pairs * kAreas);
  // Image by image, as the records lie in the file and so in memory.
  const std::vector<uint32_t> order = by_image(input).list;
  parallel_for(pairs, kPairsAtATime, input.config.threads, [&](size_t begin, size_t end) {
    Matcher matcher(input, out);
    for (size_t i = begin; i < end; ++i) matcher.run(order[i]);
  });
  return out;
}

}  // namespace iuq::eval
