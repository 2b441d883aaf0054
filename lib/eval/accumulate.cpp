#include "lib/eval/accumulate.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "lib/eval/parallel.h"

namespace iuq::eval {
namespace {

// A detection of a category, all images together.
struct Row {
  double score;
  uint32_t at;    // row of the match table
  uint32_t rank;  // within its image
};

class Accumulator {
 public:
  Accumulator(const Problem& problem, const MatchTable& table, Curves& out) : p_(problem), table_(table), out_(out) {}

  void run(size_t k) {
    const size_t begin = p_.cells.first[k], end = p_.cells.first[k + 1];
    if (begin == end) return;
    sort_rows(begin, end);
    for (size_t a = 0; a < kAreas; ++a) {
      uint32_t annotations = 0;
      for (size_t i = begin; i < end; ++i) annotations += table_.counted[i * kAreas + a];
      if (annotations == 0) continue;
      for (size_t m = 0; m < out_.cuts; ++m) {
        walk(a, static_cast<uint32_t>(p_.config.max_dets[m]));
        for (size_t t = 0; t < out_.thresholds; ++t) draw_curve(t, k, a, m, annotations);
      }
    }
  }

 private:
  // Where a curve gains recall. Between two of these places precision only falls, so that its running maximum from the
  // right, which is what is reported, changes at them alone.
  struct Hit {
    double misses;  // false positives before it
    double score;
  };

  // Falling score; ties by image, then by the order within it.
  void sort_rows(size_t begin, size_t end) {
    rows_.clear();
    for (size_t i = begin; i < end; ++i) {
      const Cell& cell = p_.cells.cells[i];
      for (uint32_t at = cell.out_begin; at < cell.out_end; ++at) {
        rows_.push_back({table_.scores[at], at, at - cell.out_begin});
      }
    }
    std::stable_sort(rows_.begin(), rows_.end(), [](const Row& x, const Row& y) { return x.score > y.score; });
  }

  // Detections best first, at all thresholds side by side: most are misses at every one of them.
  void walk(size_t a, uint32_t cut) {
    const unsigned all = (1u << out_.thresholds) - 1;
    std::array<uint32_t, kMaxThresholds> misses{};
    uint32_t misses_of_all = 0;
    for (auto& hits : hits_) hits.clear();
    any_row_ = false;
    for (const Row& row : rows_) {
      if (row.rank >= cut) continue;
      if (!any_row_) best_score_ = row.score;
      any_row_ = true;
      const size_t at = row.at * kAreas + a;
      const unsigned matched = table_.matched[at], counts = ~unsigned{table_.ignored[at]} & all;
      const unsigned missed = counts & ~matched;
      if (missed == all) {
        ++misses_of_all;
        continue;
      }
      for (unsigned bits = missed; bits != 0; bits &= bits - 1) ++misses[static_cast<size_t>(std::countr_zero(bits))];
      for (unsigned bits = counts & matched; bits != 0; bits &= bits - 1) {
        const auto t = static_cast<size_t>(std::countr_zero(bits));
        hits_[t].push_back({double(misses_of_all + misses[t]), row.score});
      }
    }
  }

  void draw_curve(size_t t, size_t k, size_t a, size_t m, uint32_t annotations) {
    const std::vector<Hit>& hits = hits_[t];
    precision_.resize(hits.size());
    double best = 0;
    for (size_t i = hits.size(); i-- > 0;) {
      const double found = double(i + 1);
      best = std::max(best, found / (hits[i].misses + found + std::numeric_limits<double>::epsilon()));
      precision_[i] = best;
    }
    out_.recall[out_.recall_at(t, k, a, m)] = double(hits.size()) / annotations;
    size_t at = 0;
    for (size_t r = 0; r < kRecalls; ++r) {
      while (at < hits.size() && double(at + 1) / annotations < recall_thresholds()[r]) ++at;
      const bool reached = at < hits.size();
      const size_t place = out_.precision_at(t, r, k, a, m);
      out_.precision[place] = reached ? precision_[at] : 0;
      if (!out_.scores.empty()) out_.scores[place] = reached ? hits[at].score : 0;
    }
    // Recall 0 is reached by the first detection, whatever it is.
    if (any_row_ && !out_.scores.empty()) out_.scores[out_.precision_at(t, 0, k, a, m)] = best_score_;
  }

  const Problem& p_;
  const MatchTable& table_;
  Curves& out_;
  std::vector<Row> rows_;
  std::array<std::vector<Hit>, kMaxThresholds> hits_;
  std::vector<double> precision_;
  bool any_row_ = false;
  double best_score_ = 0;  // of the first row
};

}  // namespace

Curves accumulate(const Problem& problem, const MatchTable& table) {
  Curves out;
  out.categories = problem.cells.first.size() - 1;
  out.cuts = problem.config.max_dets.size();
  out.thresholds = problem.config.iou_thresholds.size();
  const size_t points = out.thresholds * out.categories * kAreas * out.cuts;
  out.precision.assign(points * kRecalls, -1);
  out.recall.assign(points, -1);
  if (problem.config.protocol == Protocol::kCoco) out.scores.assign(points * kRecalls, -1);
  parallel_for(out.categories, 1, problem.config.threads, [&](size_t begin, size_t end) {
    Accumulator accumulator(problem, table, out);
    for (size_t k = begin; k < end; ++k) accumulator.run(k);
  });
  return out;
}

}  // namespace iuq::eval
