#include "lib/eval/accumulate.h"

#include <algorithm>
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
        for (size_t t = 0; t < kThresholds; ++t) draw_curve(t, k, a, m, annotations);
      }
    }
  }

 private:
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

  void draw_curve(size_t t, size_t k, size_t a, size_t m, uint32_t annotations) {
    walk(t, a, static_cast<uint32_t>(p_.config.max_dets[m]), annotations);
    out_.recall[out_.recall_at(t, k, a, m)] = recall_.empty() ? 0 : recall_.back();
    for (size_t i = precision_.size(); i-- > 1;) precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
    size_t at = 0;
    for (size_t r = 0; r < kRecalls; ++r) {
      while (at < recall_.size() && recall_[at] < recall_thresholds()[r]) ++at;
      const bool reached = at < recall_.size();
      const size_t place = out_.precision_at(t, r, k, a, m);
      out_.precision[place] = reached ? precision_[at] : 0;
      if (!out_.scores.empty()) out_.scores[place] = reached ? score_[at] : 0;
    }
  }

  // Precision and recall after each detection, best first. An ignored one repeats the point before it, as in the
  // reference: its score can become the one reported.
  void walk(size_t t, size_t a, uint32_t cut, uint32_t annotations) {
    precision_.clear();
    recall_.clear();
    score_.clear();
    double hits = 0, misses = 0;
    for (const Row& row : rows_) {
      if (row.rank >= cut) continue;
      const size_t at = row.at * kAreas + a;
      if (!(table_.ignored[at] >> t & 1)) ((table_.matched[at] >> t & 1) ? hits : misses) += 1;
      precision_.push_back(hits / (misses + hits + std::numeric_limits<double>::epsilon()));
      recall_.push_back(hits / annotations);
      score_.push_back(row.score);
    }
  }

  const Problem& p_;
  const MatchTable& table_;
  Curves& out_;
  std::vector<Row> rows_;
  std::vector<double> precision_, recall_, score_;
};

}  // namespace

Curves accumulate(const Problem& problem, const MatchTable& table) {
  Curves out;
  out.categories = problem.cells.first.size() - 1;
  out.cuts = problem.config.max_dets.size();
  const size_t points = kThresholds * out.categories * kAreas * out.cuts;
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
