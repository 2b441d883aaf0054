#include "lib/eval/match.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/eval/parallel.h"

namespace iuq::eval {
namespace {

constexpr double kAlmostOne = 1 - 1e-10;  // the reference's cap on a threshold
constexpr size_t kCellsAtATime = 64;

struct Candidate {
  uint32_t gt;  // within the cell
  double iou;
};

bool out_of_range(double area, const AreaRange& range) { return area < range.low || area > range.high; }

// Matches cell after cell, keeping its storage.
class Matcher {
 public:
  Matcher(const Problem& problem, MatchTable& out) : p_(problem), out_(out) {}

  void run(size_t index) {
    cell_ = &p_.cells.cells[index];
    sort_detections();
    find_candidates();
    for (size_t a = 0; a < kAreas; ++a) {
      mark_ignored(a);
      const auto ignored = static_cast<uint32_t>(std::count(ignored_.begin(), ignored_.end(), 1));
      out_.counted[index * kAreas + a] = static_cast<uint32_t>(ignored_.size()) - ignored;
      taken_.assign(ignored_.size(), 0);
      for (size_t d = 0; d < order_.size(); ++d) match_detection(d, a);
    }
  }

 private:
  const Annotation& gt(size_t g) const { return p_.truth.annotations[p_.cells.gt[cell_->gt_begin + g]]; }
  const Detection& dt(size_t d) const { return p_.detections.records[order_[d]]; }
  size_t gt_count() const { return cell_->gt_end - cell_->gt_begin; }

  void sort_detections() {
    const auto begin = p_.cells.dt.begin();
    order_.assign(begin + cell_->dt_begin, begin + cell_->dt_end);
    std::stable_sort(order_.begin(), order_.end(), [this](uint32_t a, uint32_t b) {
      return p_.detections.records[a].score > p_.detections.records[b].score;
    });
    order_.resize(cell_->out_end - cell_->out_begin);
    for (size_t d = 0; d < order_.size(); ++d) out_.scores[cell_->out_begin + d] = dt(d).score;
  }

  // The pairs that can match at any threshold. One below all of them has no influence, so it is not kept.
  void find_candidates() {
    candidates_.clear();
    first_.assign(1, 0);
    for (size_t d = 0; d < order_.size(); ++d) {
      decoded_ = has_boundary_ = false;
      for (size_t g = 0; g < gt_count(); ++g) {
        const double iou = iou_of(dt(d), gt(g));
        if (!(iou < p_.config.iou_thresholds[0])) candidates_.push_back({static_cast<uint32_t>(g), iou});
      }
      first_.push_back(candidates_.size());
    }
  }

  double iou_of(const Detection& d, const Annotation& g) {
    if (p_.type == IouType::kBbox) return mask::iou(d.box, g.box, g.crowd);
    if (!(mask::iou(d.box_of_mask(), g.mask_box, g.crowd) > 0)) return 0;
    if (!decoded_) {
      mask::counts_from_string(d.counts, mask_.counts);
      mask_.height = d.height;
      mask_.width = d.width;
      decoded_ = true;
    }
    const double iou = mask::iou_of_runs(mask_, g.mask, g.crowd);
    if (p_.type == IouType::kSegm || g.crowd || iou < p_.config.iou_thresholds[0]) return iou;
    // A crowd has no boundary to be met.
    return std::min(iou, boundary_iou(g));
  }

  double boundary_iou(const Annotation& g) {
    if (!has_boundary_) boundary_ = boundary_of(mask_);
    has_boundary_ = true;
    return mask::iou(boundary_, boundary_of(g.mask), false);
  }

  // As wide as the boundary IoU API has it: Python's round() takes halves to even, and so does nearbyint().
  mask::Rle boundary_of(const mask::Rle& rle) const {
    const double diagonal = std::sqrt(double(rle.height) * rle.height + double(rle.width) * rle.width);
    return mask::boundary(rle, static_cast<uint32_t>(std::max(1.0, std::nearbyint(p_.config.boundary_ratio * diagonal))));
  }

  void mark_ignored(size_t a) {
    ignored_.resize(gt_count());
    for (size_t g = 0; g < ignored_.size(); ++g) {
      ignored_[g] = gt(g).ignore || out_of_range(gt(g).area, p_.config.areas[a]);
    }
  }

  void match_detection(size_t d, size_t a) {
    ThresholdBits matched = 0, ignored = 0;
    if (first_[d] != first_[d + 1]) {
      for (size_t t = 0; t < p_.config.iou_thresholds.size(); ++t) {
        const int64_t g = best_for(d, t);
        if (g < 0) continue;
        const auto bit = static_cast<ThresholdBits>(1u << t);
        taken_[static_cast<size_t>(g)] |= bit;
        if (ignored_[static_cast<size_t>(g)]) ignored |= bit;
        // The reference stores the id of the match and later asks whether it is zero.
        if (gt(static_cast<size_t>(g)).id != 0) matched |= bit;
      }
    }
    if (ignores_unmatched(dt(d), a)) ignored |= static_cast<ThresholdBits>(~matched);
    const size_t row = (cell_->out_begin + d) * kAreas + a;
    out_.matched[row] = matched;
    out_.ignored[row] = ignored;
  }

  bool ignores_unmatched(const Detection& d, size_t a) const {
    if (out_of_range(d.area, p_.config.areas[a])) return true;
    if (p_.config.protocol != Protocol::kLvis) return false;
    const auto& partial = p_.truth.images[d.image].not_exhaustive;
    return std::binary_search(partial.begin(), partial.end(), p_.truth.categories[d.category].id);
  }

  // The annotation that detection d takes at threshold t, or -1: the best that is free, of equals the last, and an
  // ignored one only where no other qualifies.
  int64_t best_for(size_t d, size_t t) const {
    double best = std::min(p_.config.iou_thresholds[t], kAlmostOne);
    int64_t found = -1;
    for (const uint8_t ignored : {uint8_t{0}, uint8_t{1}}) {
      for (size_t i = first_[d]; i < first_[d + 1]; ++i) {
        const Candidate& candidate = candidates_[i];
        if (ignored_[candidate.gt] != ignored || candidate.iou < best) continue;
        if ((taken_[candidate.gt] >> t & 1) && !gt(candidate.gt).crowd) continue;
        best = candidate.iou;
        found = candidate.gt;
      }
      if (found >= 0) break;
    }
    return found;
  }

  const Problem& p_;
  MatchTable& out_;
  const Cell* cell_ = nullptr;
  std::vector<uint32_t> order_;        // detections by falling score, after the cut
  std::vector<Candidate> candidates_;  // of detection d: first_[d] .. first_[d + 1], annotations in file order
  std::vector<size_t> first_;
  std::vector<uint8_t> ignored_;        // [gt]
  std::vector<ThresholdBits> taken_;    // [gt]
  mask::Rle mask_;                      // of the detection at hand, once decoded
  bool decoded_ = false;
  mask::Rle boundary_;                  // of mask_, once it was needed
  bool has_boundary_ = false;
};

}  // namespace

MatchTable match(const Problem& problem) {
  const size_t rows = problem.cells.rows, cells = problem.cells.cells.size();
  MatchTable out;
  out.scores.resize(rows);
  out.matched.resize(rows * kAreas);
  out.ignored.resize(rows * kAreas);
  out.counted.resize(cells * kAreas);
  parallel_for(cells, kCellsAtATime, problem.config.threads, [&](size_t begin, size_t end) {
    Matcher matcher(problem, out);
    for (size_t i = begin; i < end; ++i) matcher.run(i);
  });
  return out;
}

}  // namespace iuq::eval
