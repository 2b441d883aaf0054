#include "lib/eval/summary.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace iuq::eval {
namespace {

constexpr size_t kBlock = 8192;  // numpy's buffer
constexpr size_t kLeaf = 128, kLanes = 8;
constexpr int kReportedCut = 100;       // the reference asks for this very number in its first line

double pairwise_sum(const double* values, size_t count) {
  if (count < kLanes) return std::accumulate(values, values + count, 0.0);
  if (count > kLeaf) {
    const size_t half = count / 2 - count / 2 % kLanes;
    return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
  }
  double lane[kLanes];
  std::copy_n(values, kLanes, lane);
  size_t i = kLanes;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lane[j] += values[i + j];
  }
  const double sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
  return std::accumulate(values + i, values + count, sum);
}

// Which part of the curves a number is the mean of.
struct Slice {
  size_t t_begin = 0, t_end = 0;
  std::vector<size_t> categories;
  size_t area = 0, cut = 0;
};

// Of one threshold; nothing when it is not among those evaluated.
Slice at_threshold(Slice slice, const EvalConfig& config, double threshold) {
  const auto& all = config.iou_thresholds;
  slice.t_begin = static_cast<size_t>(std::find(all.begin(), all.end(), threshold) - all.begin());
  slice.t_end = std::min(slice.t_begin + 1, all.size());
  return slice;
}

Slice with_area(Slice slice, size_t area) {
  slice.area = area;
  return slice;
}

double average_precision(const Curves& curves, const Slice& slice) {
  std::vector<double> values;
  for (size_t t = slice.t_begin; t < slice.t_end; ++t) {
    for (size_t r = 0; r < kRecalls; ++r) {
      for (const size_t k : slice.categories) {
        const double value = curves.precision[curves.precision_at(t, r, k, slice.area, slice.cut)];
        if (value > -1) values.push_back(value);
      }
    }
  }
  return numpy_mean(values);
}

double average_recall(const Curves& curves, const Slice& slice) {
  std::vector<double> values;
  for (size_t t = slice.t_begin; t < slice.t_end; ++t) {
    for (const size_t k : slice.categories) {
      const double value = curves.recall[curves.recall_at(t, k, slice.area, slice.cut)];
      if (value > -1) values.push_back(value);
    }
  }
  return numpy_mean(values);
}

std::string coco_label(bool precision, const char* iou, size_t area, int cut) {
  char line[128];
  std::snprintf(line, sizeof line, " %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ]",
                precision ? "Average Precision" : "Average Recall", precision ? "(AP)" : "(AR)", iou,
                kAreaRanges[area].name, cut);
  return line;
}

std::string lvis_label(bool precision, const char* iou, const char* area, int cut, const char* group) {
  char line[128];
  std::snprintf(line, sizeof line, " %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d catIds=%3s]",
                precision ? "Average Precision" : "Average Recall", precision ? "(AP)" : "(AR)", iou, area, cut, group);
  return line;
}

std::string iou_range(const EvalConfig& config) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f:%.2f", config.iou_thresholds.front(), config.iou_thresholds.back());
  return text;
}

constexpr const char* kSizes[] = {"", "s", "m", "l"};  // by area range

std::vector<Stat> coco_stats(const Curves& curves, const Slice& all, const EvalConfig& config) {
  std::vector<Stat> stats;
  const std::vector<int>& cuts = config.max_dets;
  const std::string range = iou_range(config);
  const char* const all_ious = range.c_str();
  const int last = cuts[2];
  Slice slice = all;
  slice.cut = 2;
  // The reference's first number is at 100 detections, or, without that cut, undefined: then it is at the largest here.
  double first = average_precision(curves, slice);
  int first_cut = last;
  for (size_t m = 0; m < cuts.size(); ++m) {
    Slice at_cut = all;
    at_cut.cut = m;
    if (cuts[m] != kReportedCut) continue;
    first = average_precision(curves, at_cut);
    first_cut = kReportedCut;
  }
  stats.push_back({"AP", coco_label(true, all_ious, 0, first_cut), first});
  stats.push_back({"AP50", coco_label(true, "0.50", 0, last), average_precision(curves, at_threshold(slice, config, .5))});
  stats.push_back({"AP75", coco_label(true, "0.75", 0, last), average_precision(curves, at_threshold(slice, config, .75))});
  for (size_t a = 1; a < kAreas; ++a) {
    stats.push_back({std::string("AP") + kSizes[a], coco_label(true, all_ious, a, last),
                     average_precision(curves, with_area(slice, a))});
  }
  for (size_t m = 0; m < cuts.size(); ++m) {
    slice.cut = m;
    stats.push_back({"AR" + std::to_string(cuts[m]), coco_label(false, all_ious, 0, cuts[m]),
                     average_recall(curves, slice)});
  }
  for (size_t a = 1; a < kAreas; ++a) {
    stats.push_back({std::string("AR") + kSizes[a], coco_label(false, all_ious, a, last),
                     average_recall(curves, with_area(slice, a))});
  }
  return stats;
}

std::vector<Stat> lvis_stats(const Curves& curves, const Slice& all, const GroundTruth& truth, const EvalConfig& config) {
  std::vector<Stat> stats;
  const int cut = config.max_dets[0];
  const std::string range = iou_range(config);
  const char* const all_ious = range.c_str();
  const auto label = [cut](bool precision, const char* iou, const char* area, const char* group) {
    return lvis_label(precision, iou, area, cut, group);
  };
  stats.push_back({"AP", label(true, all_ious, "all", "all"), average_precision(curves, all)});
  stats.push_back({"AP50", label(true, "0.50", "all", "all"), average_precision(curves, at_threshold(all, config, .5))});
  stats.push_back({"AP75", label(true, "0.75", "all", "all"), average_precision(curves, at_threshold(all, config, .75))});
  for (size_t a = 1; a < kAreas; ++a) {
    stats.push_back({std::string("AP") + kSizes[a], label(true, all_ious, kSizes[a], "all"),
                     average_precision(curves, with_area(all, a))});
  }
  for (const char* group : {"r", "c", "f"}) {
    Slice slice = all;
    std::erase_if(slice.categories, [&](size_t k) { return truth.categories[k].frequency != group[0]; });
    stats.push_back({std::string("AP") + group, label(true, all_ious, "all", group), average_precision(curves, slice)});
  }
  const std::string recall = "AR@" + std::to_string(cut);
  stats.push_back({recall, label(false, all_ious, "all", "all"), average_recall(curves, all)});
  for (size_t a = 1; a < kAreas; ++a) {
    stats.push_back({std::string("AR") + kSizes[a], label(false, all_ious, kSizes[a], "all"),
                     average_recall(curves, with_area(all, a))});
  }
  return stats;
}

std::vector<Stat> category_stats(const Curves& curves, size_t k, const EvalConfig& config) {
  const Slice slice{0, curves.thresholds, {k}, 0, curves.cuts - 1};
  std::vector<Stat> stats;
  stats.push_back({"AP", "", average_precision(curves, slice)});
  stats.push_back({"AP50", "", average_precision(curves, at_threshold(slice, config, .5))});
  stats.push_back({"AP75", "", average_precision(curves, at_threshold(slice, config, .75))});
  for (size_t a = 1; a < kAreas; ++a) {
    stats.push_back({std::string("AP") + kSizes[a], "", average_precision(curves, with_area(slice, a))});
  }
  for (size_t a = 0; a < kAreas; ++a) {
    stats.push_back({std::string("AR") + kSizes[a], "", average_recall(curves, with_area(slice, a))});
  }
  return stats;
}

}  // namespace

double numpy_mean(const std::vector<double>& values) {
  if (values.empty()) return -1;
  double sum = 0;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    sum += pairwise_sum(values.data() + begin, std::min(kBlock, values.size() - begin));
  }
  return sum / double(values.size());
}

Summary summarize(const EvalInput& input, const MatchTable& table, const Curves& curves) {
  Summary out;
  out.type = input.type;
  Slice all;
  all.t_end = curves.thresholds;
  all.categories.resize(curves.categories);
  std::iota(all.categories.begin(), all.categories.end(), size_t{0});
  Slice at_largest = all;
  at_largest.cut = curves.cuts - 1;
  out.ap_at_largest_cut = average_precision(curves, at_largest);
  out.stats = input.config.protocol == Protocol::kCoco ? coco_stats(curves, all, input.config)
                                                         : lvis_stats(curves, all, input.truth, input.config);
  std::vector<int64_t> of_area(kAreas, 0), of_category(curves.categories, 0);
  for (size_t i = 0; i < input.pairs.list.size(); ++i) {
    for (size_t a = 0; a < kAreas; ++a) of_area[a] += table.counted[i * kAreas + a];
    of_category[input.pairs.list[i].category] += table.counted[i * kAreas];
  }
  const std::vector<bool> chosen = chosen_categories(input.truth, input.config);
  for (size_t k = 0; k < curves.categories; ++k) {
    if (input.config.use_categories && !chosen[k]) continue;
    CategoryStats category{-1, "all", of_category[k], category_stats(curves, k, input.config)};
    if (input.config.use_categories) category.id = input.truth.categories[k].id;
    if (input.config.use_categories) category.name = input.truth.categories[k].name;
    out.categories.push_back(std::move(category));
  }
  for (size_t a = 1; a < kAreas; ++a) {
    if (of_area[0] > 0 && of_area[a] == 0) out.empty_areas.push_back(input.config.areas[a].name);
  }
  return out;
}

}  // namespace iuq::eval
