#include "lib/eval/errors.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/eval/overlaps.h"
#include "lib/eval/summary.h"

namespace iuq::eval {
namespace {

constexpr double kForegroundIou = .5, kBackgroundIou = .1;  // TIDE's
constexpr size_t kImagesPerTask = 16;

enum class Kind : uint8_t { kUnused, kHit, kClassification, kLocalisation, kBoth, kDuplicate, kBackground };
enum class Fate : uint8_t { kIgnored, kFound, kFixable, kMissed };  // of an annotation

// What became of a detection.
struct Judged {
  double score = 0;
  uint32_t category = 0;
  uint32_t fixed_category = 0;  // that of the annotation it would find
  Kind kind = Kind::kUnused;
  bool counts = false;  // not ignored
  bool fixes = false;   // it is the best of the errors at that annotation
};

// Judges image after image, keeping its storage.
class Judge {
 public:
  Judge(const EvalInput& input, const PairsByImage& pairs, std::vector<Fate>& fates)
      : view_(input, pairs, "the error breakdown"), fates_(fates) {}

  void run(size_t image, Judged* rows) {
    view_.load(image, -std::numeric_limits<double>::infinity());
    const size_t truths = view_.truths().size();
    taken_.assign(truths, 0);
    claimed_.assign(truths, 0);
    for (size_t d = 0; d < view_.found().size(); ++d) {
      const ImageView::Found& found = view_.found()[d];
      rows[d].score = found.value->score;
      rows[d].category = found.category;
      match(d, rows[d]);
    }
    // Which annotations are free is known only when all detections had their turn.
    for (size_t d = 0; d < view_.found().size(); ++d) {
      if (rows[d].kind != Kind::kHit) explain(d, rows[d]);
    }
    for (size_t g = 0; g < truths; ++g) {
      const ImageView::Truth& truth = view_.truths()[g];
      fates_[truth.position] = truth.ignored  ? Fate::kIgnored
                            : taken_[g]    ? Fate::kFound
                            : claimed_[g]  ? Fate::kFixable
                                           : Fate::kMissed;
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Best {
    uint32_t truth = kNone;
    double iou = 0;
    void see(const ImageView::Overlap& overlap) {
      if (overlap.iou > iou) truth = overlap.truth, iou = overlap.iou;
    }
  };

  // As the protocol does it: the best that is free, of equals the last, an ignored one only where no other qualifies.
  // What is no hit is kBoth until it is explained. Ignored ones are, too: with another category or a better place they
  // would have found something.
  void match(size_t d, Judged& row) {
    const ImageView::Found& found = view_.found()[d];
    for (const bool ignored : {false, true}) {
      double best = kForegroundIou;
      uint32_t chosen = kNone;
      for (const auto* o = view_.begin(d); o != view_.end(d); ++o) {
        const ImageView::Truth& truth = view_.truths()[o->truth];
        if (truth.category != found.category || truth.ignored != ignored || o->iou < best) continue;
        if (taken_[o->truth] && !truth.value->crowd) continue;
        best = o->iou;
        chosen = o->truth;
      }
      if (chosen == kNone) continue;
      taken_[chosen] = 1;
      row.kind = ignored ? Kind::kBoth : Kind::kHit;
      row.counts = !ignored;
      return;
    }
    row.kind = Kind::kBoth;
    row.counts = !found.ignored_unless_matched;
  }

  void explain(size_t d, Judged& row) {
    Best own, foreign, own_taken, any;
    for (const auto* o = view_.begin(d); o != view_.end(d); ++o) {
      const ImageView::Truth& truth = view_.truths()[o->truth];
      if (truth.ignored) continue;
      any.see(*o);
      if (truth.category != row.category) {
        foreign.see(*o);
        continue;
      }
      own.see(*o);
      if (taken_[o->truth]) own_taken.see(*o);
    }
    if (own.iou >= kBackgroundIou && own.iou <= kForegroundIou) {
      claim(Kind::kLocalisation, own.truth, row);
    } else if (foreign.iou >= kForegroundIou) {
      claim(Kind::kClassification, foreign.truth, row);
    } else if (own_taken.iou >= kForegroundIou) {
      row.kind = Kind::kDuplicate;
    } else {
      row.kind = any.iou <= kBackgroundIou ? Kind::kBackground : Kind::kBoth;
    }
  }

  // Detections come by falling score, so the first to claim an annotation is the one that may have it.
  void claim(Kind kind, uint32_t truth, Judged& row) {
    row.kind = kind;
    if (taken_[truth]) return;
    row.fixed_category = view_.truths()[truth].category;
    row.fixes = !claimed_[truth];
    claimed_[truth] = 1;
  }

  ImageView view_;
  std::vector<Fate>& fates_;
  std::vector<uint8_t> taken_, claimed_;  // [truths]
};

// What AP is with some of the errors fixed.
enum class Fix {
  kNothing,
  kClassification,
  kLocalisation,
  kBoth,
  kDuplicate,
  kBackground,
  kMissed,
  kPositives,
  kNegatives
};

class Ranking {
 public:
  Ranking(size_t categories, std::vector<Judged> rows, const std::vector<Fate>& fates, const EvalInput& input)
      : rows_(std::move(rows)), asked_(categories, 0), missed_(categories, 0), unfound_(categories, 0) {
    std::erase_if(rows_, [](const Judged& row) { return !row.counts && !row.fixes; });
    // Rows are in the order of images, and so are ties.
    std::stable_sort(rows_.begin(), rows_.end(), [](const Judged& a, const Judged& b) { return a.score > b.score; });
    for (const ImageCategory& pair : input.pairs.list) {
      for (uint32_t g = pair.gt_begin; g < pair.gt_end; ++g) {
        asked_[pair.category] += fates[g] != Fate::kIgnored;
        missed_[pair.category] += fates[g] == Fate::kMissed;
        unfound_[pair.category] += fates[g] == Fate::kMissed || fates[g] == Fate::kFixable;
      }
    }
  }

  int64_t count(Kind kind) const {
    return std::count_if(rows_.begin(), rows_.end(), [kind](const Judged& row) { return row.counts && row.kind == kind; });
  }
  int64_t misses() const {
    return std::count_if(rows_.begin(), rows_.end(),
                         [](const Judged& row) { return row.counts && row.kind != Kind::kHit; });
  }
  int64_t missed() const { return sum(missed_); }
  int64_t unfound() const { return sum(unfound_); }

  /// -1 where nothing counts.
  double ap(Fix fix) const {
    std::vector<Curve> curves(asked_.size());
    for (const Judged& row : rows_) rank(row, fix, curves);
    std::vector<std::array<double, kRecalls>> precisions;
    for (size_t k = 0; k < curves.size(); ++k) {
      const int64_t asked = asked_[k] - (fix == Fix::kMissed ? missed_[k] : fix == Fix::kNegatives ? unfound_[k] : 0);
      const bool any_row = curves[k].misses > 0 || !curves[k].hits.empty();
      if (asked_[k] > 0 && (asked > 0 || any_row)) precisions.push_back(draw(curves[k], asked));
    }
    std::vector<double> values;  // in the order in which the summary takes its mean
    values.reserve(precisions.size() * kRecalls);
    for (size_t r = 0; r < kRecalls; ++r) {
      for (const auto& precision : precisions) values.push_back(precision[r]);
    }
    return numpy_mean(values);
  }

 private:
  struct Curve {
    int64_t misses = 0;
    std::vector<int64_t> hits;  // the misses before each
  };

  static int64_t sum(const std::vector<int64_t>& counts) {
    int64_t total = 0;
    for (const int64_t n : counts) total += n;
    return total;
  }

  static bool concerns(Fix fix, Kind kind) {
    switch (fix) {
      case Fix::kClassification: return kind == Kind::kClassification;
      case Fix::kLocalisation: return kind == Kind::kLocalisation;
      case Fix::kBoth: return kind == Kind::kBoth;
      case Fix::kDuplicate: return kind == Kind::kDuplicate;
      case Fix::kBackground: return kind == Kind::kBackground;
      case Fix::kNothing:
      case Fix::kMissed:
      case Fix::kPositives:
      case Fix::kNegatives: return false;
    }
    return false;
  }

  static void rank(const Judged& row, Fix fix, std::vector<Curve>& curves) {
    if (row.kind == Kind::kHit) {
      curves[row.category].hits.push_back(fix == Fix::kPositives ? 0 : curves[row.category].misses);
    } else if (!concerns(fix, row.kind)) {
      curves[row.category].misses += row.counts;
    } else if (row.fixes) {
      curves[row.fixed_category].hits.push_back(curves[row.fixed_category].misses);
    }
  }

  static std::array<double, kRecalls> draw(const Curve& curve, int64_t asked) {
    std::array<double, kRecalls> out{};
    if (asked == 0) return out;
    std::vector<double> precision(curve.hits.size());
    double best = 0;
    for (size_t i = precision.size(); i-- > 0;) {
      const double found = double(i + 1);
      best = std::max(best, found / (double(curve.hits[i]) + found + std::numeric_limits<double>::epsilon()));
      precision[i] = best;
    }
    size_t at = 0;
    for (size_t r = 0; r < kRecalls; ++r) {
      while (at < precision.size() && double(at + 1) / double(asked) < recall_thresholds()[r]) ++at;
      if (at < precision.size()) out[r] = precision[at];
    }
    return out;
  }

  std::vector<Judged> rows_;  // best first
  std::vector<int64_t> asked_, missed_, unfound_;  // [K] annotations
};

std::vector<Judged> judge_all(const EvalInput& input, std::vector<Fate>& fates) {
  const PairsByImage of_image = by_image(input);
  const Judge checked(input, of_image, fates);  // throws here, not on a thread, and without images too
  const size_t images = input.truth.images.size();
  std::vector<size_t> first(images + 1, 0);
  for (const ImageCategory& pair : input.pairs.list) first[pair.image + 1] += pair.out_end - pair.out_begin;
  for (size_t i = 0; i < images; ++i) first[i + 1] += first[i];
  std::vector<Judged> rows(first.back());
  parallel_for(images, kImagesPerTask, input.config.threads, [&](size_t begin, size_t end) {
    Judge judge(input, of_image, fates);
    for (size_t i = begin; i < end; ++i) judge.run(i, rows.data() + first[i]);
  });
  return rows;
}

nlohmann::json share_to_json(const ErrorShare& share) {
  return {{"name", share.name}, {"count", share.count}, {"gain", share.gain}};
}

}  // namespace

ErrorBreakdown break_down_errors(const EvalInput& input) {
  std::vector<Fate> fates(input.pairs.gt.size(), Fate::kIgnored);
  std::vector<Judged> rows = judge_all(input, fates);
  const Ranking ranking(input.pairs.first.size() - 1, std::move(rows), fates, input);
  ErrorBreakdown out;
  out.type = input.type;
  out.ap50 = ranking.ap(Fix::kNothing);
  const std::vector<std::pair<ErrorShare, Fix>> kinds = {
      {{"classification", ranking.count(Kind::kClassification), 0}, Fix::kClassification},
      {{"localisation", ranking.count(Kind::kLocalisation), 0}, Fix::kLocalisation},
      {{"both", ranking.count(Kind::kBoth), 0}, Fix::kBoth},
      {{"duplicate", ranking.count(Kind::kDuplicate), 0}, Fix::kDuplicate},
      {{"background", ranking.count(Kind::kBackground), 0}, Fix::kBackground},
      {{"missed", ranking.missed(), 0}, Fix::kMissed},
      {{"false_positives", ranking.misses(), 0}, Fix::kPositives},
      {{"false_negatives", ranking.unfound(), 0}, Fix::kNegatives}};
  std::vector<ErrorShare> shares(kinds.size());
  parallel_for(kinds.size(), 1, input.config.threads, [&](size_t begin, size_t) {
    shares[begin] = kinds[begin].first;
    // A fix never costs anything but by where the 101 recalls fall; as in TIDE, that is not a loss.
    if (out.ap50 >= 0) shares[begin].gain = std::max(0.0, ranking.ap(kinds[begin].second) - out.ap50);
  });
  out.false_negatives = shares.back();
  out.false_positives = shares[shares.size() - 2];
  out.errors.assign(shares.begin(), shares.end() - 2);
  return out;
}

std::string to_table(const ErrorBreakdown& breakdown) {
  char line[96];
  std::snprintf(line, sizeof line, "AP50 %.3f (%s); what fixing one kind of error alone would add:\n", breakdown.ap50,
                name_of(breakdown.type));
  std::string out = line;
  const auto add = [&](const ErrorShare& share) {
    std::snprintf(line, sizeof line, " %-16s %10lld  %+.3f\n", share.name.c_str(), static_cast<long long>(share.count),
                  share.gain);
    out += line;
  };
  for (const ErrorShare& share : breakdown.errors) add(share);
  add(breakdown.false_positives);
  add(breakdown.false_negatives);
  return out;
}

nlohmann::json to_json(const ErrorBreakdown& breakdown) {
  nlohmann::json errors = nlohmann::json::array();
  for (const ErrorShare& share : breakdown.errors) errors.push_back(share_to_json(share));
  return {{"iou_type", name_of(breakdown.type)},
          {"ap50", breakdown.ap50},
          {"errors", std::move(errors)},
          {"false_positives", share_to_json(breakdown.false_positives)},
          {"false_negatives", share_to_json(breakdown.false_negatives)}};
}

}  // namespace iuq::eval
