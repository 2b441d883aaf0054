#include "lib/eval/image_categories.h"

#include <algorithm>
#include <tuple>
#include <type_traits>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"

namespace iuq::eval {
namespace {

struct Entry {
  uint32_t category, image;
  uint32_t pooled;  // its rank among the categories that are pooled
  uint32_t index;
};

// Stable, by one field whose values are below `values`. Files mostly come image by image.
void sort_by(uint32_t Entry::*field, size_t values, std::vector<Entry>& entries, std::vector<Entry>& spare) {
  const auto by_field = [field](const Entry& a, const Entry& b) { return a.*field < b.*field; };
  if (std::is_sorted(entries.begin(), entries.end(), by_field)) return;
  std::vector<uint32_t> first(values + 1, 0);
  for (const Entry& entry : entries) ++first[entry.*field + 1];
  for (size_t v = 1; v <= values; ++v) first[v] += first[v - 1];
  reserve_huge(spare, entries.size());
  spare.resize(entries.size());
  for (const Entry& entry : entries) spare[first[entry.*field]++] = entry;
  entries.swap(spare);
}

// By category, then image, then rank, then as in the file.
template <class Record>
std::vector<Entry> entries_of(const std::vector<Record>& records, const GroundTruth& truth, const EvalConfig& config,
                              bool masks) {
  const std::vector<bool> categories = chosen_categories(truth, config), images = chosen_images(truth, config);
  const bool pool = !config.use_categories;
  // A category that the file lists twice is pooled twice.
  std::vector<uint32_t> rank(truth.categories.size() + 1, 0);
  for (size_t k = 0; k < truth.categories.size(); ++k) {
    rank[k + 1] = rank[k] + static_cast<uint32_t>(truth.categories[k].listed);
  }
  std::vector<Entry> entries, spare;
  reserve_huge(entries, records.size());
  for (uint32_t i = 0; i < records.size(); ++i) {
    const auto& record = records[i];
    if (!categories[record.category] || !images[record.image]) continue;
    if constexpr (std::is_same_v<Record, Annotation>) {
      if (masks && record.maskless) continue;
    }
    if (!pool) {
      entries.push_back({record.category, record.image, 0, i});
      continue;
    }
    for (uint32_t p = rank[record.category]; p < rank[record.category + 1]; ++p) {
      entries.push_back({0, record.image, p, i});
    }
  }
  if (pool) sort_by(&Entry::pooled, rank.back(), entries, spare);
  sort_by(&Entry::image, truth.images.size(), entries, spare);
  if (!pool) sort_by(&Entry::category, truth.categories.size(), entries, spare);
  return entries;
}

bool lists(const std::vector<int64_t>& sorted_ids, int64_t id) {
  return std::binary_search(sorted_ids.begin(), sorted_ids.end(), id);
}

// LVIS: detections count where their category was annotated, be it as present or as absent.
bool is_verified(const Entry& head, const GroundTruth& truth) {
  return lists(truth.images[head.image].negative, truth.categories[head.category].id);
}

}  // namespace

std::vector<bool> chosen_categories(const GroundTruth& truth, const EvalConfig& config) {
  std::vector<bool> chosen(truth.categories.size(), config.categories.empty());
  for (const std::string& wanted : config.categories) {
    bool found = false;
    for (size_t k = 0; k < chosen.size(); ++k) {
      if (truth.categories[k].name != wanted && std::to_string(truth.categories[k].id) != wanted) continue;
      chosen[k] = found = true;
    }
    if (!found) throw Error(ErrorCode::kUsage, cat("--categories: the annotations have no category \"", wanted, "\""));
  }
  return chosen;
}

std::vector<bool> chosen_images(const GroundTruth& truth, const EvalConfig& config) {
  std::vector<bool> chosen(truth.images.size(), config.image_ids.empty());
  for (const int64_t id : config.image_ids) {
    const auto it = truth.image_of.find(id);
    if (it == truth.image_of.end()) throw Error(ErrorCode::kUsage, cat("--image-ids: the annotations have no image ", id));
    chosen[it->second] = true;
  }
  return chosen;
}

ImageCategories group(const GroundTruth& truth, const Detections& detections, const EvalConfig& config, IouType type) {
  const bool pool = !config.use_categories, lvis = config.protocol == Protocol::kLvis;
  const std::vector<Entry> gt = entries_of(truth.annotations, truth, config, is_of_masks(type));
  const std::vector<Entry> dt = entries_of(detections.records, truth, config, is_of_masks(type));
  ImageCategories out;
  const size_t categories = pool ? 1 : truth.categories.size();
  out.first.assign(categories + 1, 0);
  const auto cut = static_cast<uint32_t>(config.max_dets.back());
  size_t g = 0, d = 0;
  while (g < gt.size() || d < dt.size()) {
    const bool from_gt = d == dt.size() || (g < gt.size() && std::tie(gt[g].category, gt[g].image) <=
                                                                 std::tie(dt[d].category, dt[d].image));
    const Entry head = from_gt ? gt[g] : dt[d];
    const auto here = [&head](const Entry& e) { return e.category == head.category && e.image == head.image; };
    ImageCategory pair;
    pair.category = head.category;
    pair.image = head.image;
    pair.gt_begin = static_cast<uint32_t>(out.gt.size());
    pair.dt_begin = static_cast<uint32_t>(out.dt.size());
    pair.out_begin = out.rows;
    while (g < gt.size() && here(gt[g])) out.gt.push_back(gt[g++].index);
    pair.gt_end = static_cast<uint32_t>(out.gt.size());
    const bool counts = !lvis || pair.gt_end > pair.gt_begin || is_verified(head, truth);
    for (; d < dt.size() && here(dt[d]); ++d) {
      if (counts) out.dt.push_back(dt[d].index);
    }
    if (!counts) continue;
    pair.dt_end = static_cast<uint32_t>(out.dt.size());
    pair.out_end = out.rows += std::min(pair.dt_end - pair.dt_begin, cut);
    out.list.push_back(pair);
    ++out.first[head.category + 1];
  }
  for (size_t k = 0; k < categories; ++k) out.first[k + 1] += out.first[k];
  return out;
}

}  // namespace iuq::eval
