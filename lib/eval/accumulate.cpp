#include "lib/eval/accumulate.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "lib/base/huge_pages.h"
#include "lib/base/parallel.h"

namespace iuq::eval {
namespace {

constexpr size_t kPiecesPerThread = 32;

// A detection of a category, all images together.
struct Row {
  double score;
  uint32_t at;         // row of the match table
  uint32_t first_cut;  // the smallest of the cuts that keeps it
};

// As an unsigned number that is the smaller the higher the score.
uint64_t descending_key(double score) {
  const auto bits = std::bit_cast<uint64_t>(score + 0.0);  // -0 becomes 0, its equal
  return bits >> 63 ? bits : ~bits & ~(uint64_t{1} << 63);
}

// By falling score, equals in the order they are in: byte by byte of the key, the last byte first.
void sort_by_score(std::vector<Row>& rows, std::vector<Row>& spare) {
  constexpr size_t kBytes = 8, kValues = 256, kFew = 2048;
  if (rows.size() < kFew) {
    std::stable_sort(rows.begin(), rows.end(), [](const Row& x, const Row& y) { return x.score > y.score; });
    return;
  }
  std::array<std::array<uint32_t, kValues>, kBytes> first{};
  for (const Row& row : rows) {
    const uint64_t key = descending_key(row.score);
    for (size_t i = 0; i < kBytes; ++i) ++first[i][key >> 8 * i & 0xff];
  }
  spare.resize(rows.size());
  for (size_t i = 0; i < kBytes; ++i) {
    uint32_t sum = 0;
    for (uint32_t& position : first[i]) sum += std::exchange(position, sum);
    for (const Row& row : rows) spare[first[i][descending_key(row.score) >> 8 * i & 0xff]++] = row;
    rows.swap(spare);
  }
}

class Accumulator {
 public:
  Accumulator(const EvalInput& input, const MatchTable& table, Curves& out)
      : in_(input), table_(table), out_(out), curves_(out.cuts) {}

  void run(size_t k) {
    const size_t begin = in_.pairs.first[k], end = in_.pairs.first[k + 1];
    if (begin == end) return;
    collect_rows(begin, end);
    for (size_t a = 0; a < kAreas; ++a) {
      uint32_t annotations = 0;
      for (size_t i = begin; i < end; ++i) annotations += table_.counted[i * kAreas + a];
      if (annotations == 0) continue;
      walk(a);
      for (size_t m = 0; m < out_.cuts; ++m) {
        for (size_t t = 0; t < out_.thresholds; ++t) draw_curve(t, k, a, m, annotations);
      }
    }
  }

 private:
  // Where a curve gains recall. Between two such points precision only falls, so that its running maximum from the
  // right, which is what is reported, changes at them alone.
  struct Hit {
    double misses;  // false positives before it
    double score;
  };
  // The curves of one cut while its rows are walked.
  struct OfCut {
    std::array<std::vector<Hit>, kMaxThresholds> hits;
    std::array<uint32_t, kMaxThresholds> misses{};
    uint32_t misses_of_all = 0;  // at every threshold, by rows that no smaller cut keeps
  };

  // By falling score; ties by image, then by the order within it.
  void collect_rows(size_t begin, size_t end) {
    rows_.clear();
    const std::vector<int>& cuts = in_.config.max_dets;
    for (size_t i = begin; i < end; ++i) {
      const ImageCategory& pair = in_.pairs.list[i];
      uint32_t cut = 0;
      for (uint32_t at = pair.out_begin; at < pair.out_end; ++at) {
        while (at - pair.out_begin >= static_cast<uint32_t>(cuts[cut])) ++cut;
        rows_.push_back({table_.scores[at], at, cut});
      }
    }
    sort_by_score(rows_, spare_);
  }

  // Detections best first, at all thresholds and cuts side by side: most are misses at every one of them.
  void walk(size_t a) {
    const unsigned all = (1u << out_.thresholds) - 1;
    for (OfCut& curves : curves_) {
      for (auto& hits : curves.hits) hits.clear();
      curves.misses.fill(0);
      curves.misses_of_all = 0;
    }
    for (const Row& row : rows_) {
      const size_t at = row.at * kAreas + a;
      const unsigned matched = table_.matched[at], counts = ~unsigned{table_.ignored[at]} & all;
      if ((counts & ~matched) == all) {
        ++curves_[row.first_cut].misses_of_all;
      } else if (counts != 0) {
        take(row, counts & matched, counts & ~matched);
      }
    }
  }

  void take(const Row& row, unsigned hits, unsigned misses) {
    uint32_t misses_of_all = 0;
    for (size_t m = 0; m < curves_.size(); ++m) {
      OfCut& curves = curves_[m];
      misses_of_all += curves.misses_of_all;
      if (m < row.first_cut) continue;
      for (unsigned bits = misses; bits != 0; bits &= bits - 1) ++curves.misses[static_cast<size_t>(std::countr_zero(bits))];
      for (unsigned bits = hits; bits != 0; bits &= bits - 1) {
        const auto t = static_cast<size_t>(std::countr_zero(bits));
        curves.hits[t].push_back({double(misses_of_all + curves.misses[t]), row.score});
      }
    }
  }

  void draw_curve(size_t t, size_t k, size_t a, size_t m, uint32_t annotations) {
    const std::vector<Hit>& hits = curves_[m].hits[t];
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
      const size_t at_recall = out_.precision_at(t, r, k, a, m);
      out_.precision[at_recall] = reached ? precision_[at] : 0;
      if (!out_.scores.empty()) out_.scores[at_recall] = reached ? hits[at].score : 0;
    }
    // Recall 0 is reached by the first detection, whatever it is.
    if (!rows_.empty() && !out_.scores.empty()) out_.scores[out_.precision_at(t, 0, k, a, m)] = rows_[0].score;
  }

  const EvalInput& in_;
  const MatchTable& table_;
  Curves& out_;
  std::vector<Row> rows_, spare_;
  std::vector<OfCut> curves_;  // a cut each
  std::vector<double> precision_;
};

}  // namespace

Curves accumulate(const EvalInput& input, const MatchTable& table) {
  Curves out;
  out.categories = input.pairs.first.size() - 1;
  out.cuts = input.config.max_dets.size();
  out.thresholds = input.config.iou_thresholds.size();
  const size_t points = out.thresholds * out.categories * kAreas * out.cuts;
  reserve_huge(out.precision, points * kRecalls);
  out.precision.assign(points * kRecalls, -1);
  out.recall.assign(points, -1);
  if (input.config.protocol == Protocol::kCoco) {
    reserve_huge(out.scores, points * kRecalls);
    out.scores.assign(points * kRecalls, -1);
  }
  const size_t pieces = kPiecesPerThread * static_cast<size_t>(input.config.threads);
  parallel_for(out.categories, 1 + out.categories / pieces, input.config.threads, [&](size_t begin, size_t end) {
    Accumulator accumulator(input, table, out);
    for (size_t k = begin; k < end; ++k) accumulator.run(k);
  });
  return out;
}

}  // namespace iuq::eval
