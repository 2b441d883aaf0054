#include "lib/eval/cells.h"

#include <algorithm>
#include <tuple>

namespace iuq::eval {
namespace {

struct Entry {
  uint32_t category, image;
  uint32_t place;  // among the categories that are pooled
  uint32_t index;

  bool operator<(const Entry& other) const {
    return std::tie(category, image, place) < std::tie(other.category, other.image, other.place);
  }
};

template <class Record, class Counts>
std::vector<Entry> entries_of(const std::vector<Record>& records, const GroundTruth& truth, bool pool, Counts counts) {
  // A category that the file lists twice is pooled twice.
  std::vector<uint32_t> place(truth.categories.size() + 1, 0);
  for (size_t k = 0; k < truth.categories.size(); ++k) {
    place[k + 1] = place[k] + static_cast<uint32_t>(truth.categories[k].listed);
  }
  std::vector<Entry> entries;
  for (uint32_t i = 0; i < records.size(); ++i) {
    const auto& record = records[i];
    if (!counts(record)) continue;
    if (!pool) {
      entries.push_back({record.category, record.image, 0, i});
      continue;
    }
    for (uint32_t p = place[record.category]; p < place[record.category + 1]; ++p) {
      entries.push_back({0, record.image, p, i});
    }
  }
  std::stable_sort(entries.begin(), entries.end());
  return entries;
}

bool lists(const std::vector<int64_t>& sorted_ids, int64_t id) {
  return std::binary_search(sorted_ids.begin(), sorted_ids.end(), id);
}

// LVIS: a detection counts where its category was annotated, be it as present or as absent.
std::vector<Entry> verified(const std::vector<Detection>& records, const GroundTruth& truth,
                            const std::vector<Entry>& annotated) {
  return entries_of(records, truth, false, [&](const Detection& d) {
    return lists(truth.images[d.image].negative, truth.categories[d.category].id) ||
           std::binary_search(annotated.begin(), annotated.end(), Entry{d.category, d.image, 0, 0});
  });
}

}  // namespace

Cells group(const GroundTruth& truth, const Detections& detections, const EvalConfig& config) {
  const bool pool = !config.use_categories, lvis = config.protocol == Protocol::kLvis;
  const auto all = [](const auto&) { return true; };
  const std::vector<Entry> gt = entries_of(truth.annotations, truth, pool, all);
  const std::vector<Entry> dt = lvis ? verified(detections.records, truth, gt)
                                     : entries_of(detections.records, truth, pool, all);
  Cells out;
  const size_t categories = pool ? 1 : truth.categories.size();
  out.first.assign(categories + 1, 0);
  const auto cut = static_cast<uint32_t>(config.max_dets.back());
  uint32_t g = 0, d = 0;
  while (g < gt.size() || d < dt.size()) {
    const bool from_gt = d == dt.size() || (g < gt.size() && std::tie(gt[g].category, gt[g].image) <=
                                                                 std::tie(dt[d].category, dt[d].image));
    const Entry& head = from_gt ? gt[g] : dt[d];
    const auto here = [&head](const Entry& e) { return e.category == head.category && e.image == head.image; };
    Cell cell{head.category, head.image, g, g, d, d, out.rows, out.rows};
    while (g < gt.size() && here(gt[g])) out.gt.push_back(gt[g++].index);
    while (d < dt.size() && here(dt[d])) out.dt.push_back(dt[d++].index);
    cell.gt_end = g;
    cell.dt_end = d;
    cell.out_end = out.rows += std::min(d - cell.dt_begin, cut);
    out.cells.push_back(cell);
    ++out.first[head.category + 1];
  }
  for (size_t k = 0; k < categories; ++k) out.first[k + 1] += out.first[k];
  return out;
}

}  // namespace iuq::eval
