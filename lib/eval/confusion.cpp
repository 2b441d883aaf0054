#include "lib/eval/confusion.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <tuple>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/eval/overlaps.h"

namespace iuq::eval {
namespace {

constexpr size_t kImagesAtATime = 64;

struct ClassPair {
  uint32_t truth, detected;
};

// Pairs up image after image, keeping its storage.
class Pairing {
 public:
  Pairing(const EvalInput& input, const PairsByImage& pairs, uint32_t nothing, double iou, double min_score)
      : view_(input, pairs, "the confusion matrix"), nothing_(nothing), iou_(iou), min_score_(min_score) {}

  void run(size_t image, std::vector<ClassPair>& out) {
    view_.load(image, min_score_);
    taken_.assign(view_.truths().size(), 0);
    for (size_t d = 0; d < view_.found().size(); ++d) {
      const ImageView::Found& found = view_.found()[d];
      const uint32_t best = best_for(d);
      if (best != kNone) {
        taken_[best] = 1;
        out.push_back({view_.truths()[best].category, found.category});
      } else if (!found.ignored_unless_matched && !is_absorbed(d)) {
        out.push_back({nothing_, found.category});
      }
    }
    for (size_t g = 0; g < taken_.size(); ++g) {
      const ImageView::Truth& truth = view_.truths()[g];
      if (!truth.ignored && !taken_[g]) out.push_back({truth.category, nothing_});
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t best_for(size_t d) const {
    uint32_t best = kNone;
    double best_iou = iou_;
    bool best_is_own = false;
    for (const auto* o = view_.begin(d); o != view_.end(d); ++o) {
      const ImageView::Truth& truth = view_.truths()[o->truth];
      if (truth.ignored || taken_[o->truth] || o->iou < best_iou) continue;
      const bool own = truth.category == view_.found()[d].category;
      if (best != kNone && o->iou == best_iou && (best_is_own || !own)) continue;
      best = o->truth;
      best_iou = o->iou;
      best_is_own = own;
    }
    return best;
  }

  bool is_absorbed(size_t d) const {
    return std::any_of(view_.begin(d), view_.end(d), [this](const ImageView::Overlap& o) {
      return view_.truths()[o.truth].ignored && o.iou >= iou_;
    });
  }

  ImageView view_;
  uint32_t nothing_;
  double iou_, min_score_;
  std::vector<uint8_t> taken_;  // [truths]
};

std::vector<Confusion::Name> names_of(const EvalInput& input) {
  std::vector<Confusion::Name> names;
  if (!input.config.use_categories) names.push_back({-1, "all"});
  if (input.config.use_categories) {
    for (const Category& category : input.truth.categories) names.push_back({category.id, category.name});
  }
  names.push_back({-1, "nothing"});
  return names;
}

// Names come from outside: nothing in them may steer a terminal.
std::string printable_name(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return name;
}

struct Totals {
  int64_t right = 0, confused = 0, missed = 0, invented = 0;
};

Totals totals_of(const Confusion& confusion) {
  Totals out;
  const size_t nothing = confusion.nothing();
  for (size_t t = 0; t <= nothing; ++t) {
    for (size_t d = 0; d <= nothing; ++d) {
      int64_t& total = t == nothing ? out.invented : d == nothing ? out.missed : t == d ? out.right : out.confused;
      total += confusion.at(t, d);
    }
  }
  return out;
}

}  // namespace

Confusion count_confusions(const EvalInput& input, double iou, double min_score) {
  if (!(iou > 0 && iou <= 1)) throw Error(ErrorCode::kUsage, cat("the IoU of a confusion is ", iou, ", not in (0, 1]"));
  if (std::isnan(min_score)) throw Error(ErrorCode::kUsage, "the lowest score of a confusion is not a number");
  Confusion out;
  out.type = input.type;
  out.iou = iou;
  out.min_score = min_score;
  out.names = names_of(input);
  out.counts.assign(out.names.size() * out.names.size(), 0);
  const PairsByImage of_image = by_image(input);
  const auto nothing = static_cast<uint32_t>(out.nothing());
  const Pairing checked(input, of_image, nothing, iou, min_score);  // throws here, not on a thread
  std::mutex mutex;
  parallel_for(input.truth.images.size(), kImagesAtATime, input.config.threads, [&](size_t begin, size_t end) {
    Pairing pairing(input, of_image, nothing, iou, min_score);
    std::vector<ClassPair> pairs;
    for (size_t i = begin; i < end; ++i) pairing.run(i, pairs);
    const std::lock_guard lock(mutex);  // whole numbers: the order in which threads come here does not matter
    for (const ClassPair& pair : pairs) ++out.counts[pair.truth * out.names.size() + pair.detected];
  });
  return out;
}

std::string to_table(const Confusion& confusion, size_t most) {
  struct Entry {
    int64_t count;
    size_t truth, detected;
  };
  std::vector<Entry> entries;
  for (size_t t = 0; t < confusion.nothing(); ++t) {
    for (size_t d = 0; d < confusion.nothing(); ++d) {
      if (t != d && confusion.at(t, d) > 0) entries.push_back({confusion.at(t, d), t, d});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(b.count, a.truth, a.detected) < std::tie(a.count, b.truth, b.detected);
  });
  const Totals totals = totals_of(confusion);
  std::string out = cat("confusion (", name_of(confusion.type), ", IoU >= ", confusion.iou, ", score >= ",
                        confusion.min_score, ")\n", "right category ", totals.right, ", another category ",
                        totals.confused, ", missed ", totals.missed, ", false positives ", totals.invented, "\n");
  if (!entries.empty()) out += "     count  annotated -> detected\n";
  for (size_t i = 0; i < std::min(most, entries.size()); ++i) {
    char count[32];
    std::snprintf(count, sizeof count, "%10lld  ", static_cast<long long>(entries[i].count));
    out += count + printable_name(confusion.names[entries[i].truth].name) + " -> " +
           printable_name(confusion.names[entries[i].detected].name) + "\n";
  }
  return out;
}

nlohmann::json to_json(const Confusion& confusion) {
  nlohmann::json counts = nlohmann::json::array();
  const auto id_of = [&](size_t index) {
    return index == confusion.nothing() ? nlohmann::json() : nlohmann::json(confusion.names[index].id);
  };
  for (size_t t = 0; t <= confusion.nothing(); ++t) {
    for (size_t d = 0; d <= confusion.nothing(); ++d) {
      if (confusion.at(t, d) == 0) continue;
      counts.push_back({{"truth", id_of(t)}, {"detected", id_of(d)}, {"count", confusion.at(t, d)}});
    }
  }
  return {{"iou_type", name_of(confusion.type)},
          {"iou", confusion.iou},
          {"min_score", confusion.min_score},
          {"counts", std::move(counts)}};
}

}  // namespace iuq::eval
