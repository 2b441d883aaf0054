#include "lib/eval/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/eval/detections.h"
#include "lib/eval/ground_truth.h"
#include "lib/eval/match.h"
#include "lib/eval/resample.h"

namespace iuq::eval {
namespace {

constexpr int kMostResamples = 10'000'000;
constexpr size_t kDrawsAtATime = 8;
constexpr double kLow = .025, kHigh = .975;

// Both lists' numbers of one draw of images.
struct Pair {
  StatValues first, second;
};

// By linear interpolation between the two nearest, as numpy has it by default.
double percentile(const std::vector<double>& sorted, double share) {
  const double position = share * double(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(position));
  const double low = sorted[below], high = sorted[std::min(below + 1, sorted.size() - 1)];
  return low + (high - low) * (position - double(below));
}

// What is left of a results list when it has been matched, for each IoU type of the config.
std::vector<RankedMatches> rank(const GroundTruth& truth, const Detections& detections, const EvalConfig& config) {
  std::vector<RankedMatches> out;
  for (const IouType type : config.iou_types) {
    const ImageCategories pairs = group(truth, detections, config, type);
    const EvalInput input{truth, detections, pairs, config, type};
    out.emplace_back(input, match(input));
  }
  return out;
}

ComparedStat summarize_stat(size_t s, const Pair& all, const std::vector<Pair>& draws) {
  ComparedStat out;
  out.name = kComparedStats[s];
  out.first = all.first[s];
  out.second = all.second[s];
  if (out.first < 0 || out.second < 0) return out;
  out.difference = out.second - out.first;
  std::vector<double> differences;
  differences.reserve(draws.size());
  // Of a rare size a draw may have no annotation; then it says nothing.
  for (const Pair& draw : draws) {
    if (draw.first[s] >= 0 && draw.second[s] >= 0) differences.push_back(draw.second[s] - draw.first[s]);
  }
  out.resamples = static_cast<int>(differences.size());
  if (differences.empty()) return out;
  const auto worse = std::count_if(differences.begin(), differences.end(), [](double d) { return !(d > 0); });
  out.not_better = double(worse) / double(differences.size());
  std::sort(differences.begin(), differences.end());
  out.low = percentile(differences, kLow);
  out.high = percentile(differences, kHigh);
  return out;
}

ComparedType compare_type(IouType type, const RankedMatches& first, const RankedMatches& second,
                          const std::vector<uint32_t>& at_hand, size_t images, const Comparison& plan, int threads) {
  RankedMatches::Scratch scratch;
  std::vector<uint32_t> once(images, 0);
  for (const uint32_t i : at_hand) once[i] = 1;
  const Pair all{first.stats(once, scratch), second.stats(once, scratch)};
  std::vector<Pair> draws(static_cast<size_t>(plan.resamples));
  parallel_for(draws.size(), kDrawsAtATime, threads, [&](size_t begin, size_t end) {
    RankedMatches::Scratch own;
    for (size_t i = begin; i < end; ++i) {
      const std::vector<uint32_t> weights = draw_images(at_hand, images, plan.seed, i);
      draws[i] = {first.stats(weights, own), second.stats(weights, own)};
    }
  });
  ComparedType out;
  out.type = type;
  for (size_t s = 0; s < kComparedStats.size(); ++s) out.stats.push_back(summarize_stat(s, all, draws));
  return out;
}

void check(const std::string& annotations, const std::string& first, const std::string& second, int resamples) {
  if (int{annotations == "-"} + int{first == "-"} + int{second == "-"} > 1) {
    throw Error(ErrorCode::kUsage, "only one of the annotations and the two predictions can come from stdin");
  }
  if (resamples < 1 || resamples > kMostResamples) {
    throw Error(ErrorCode::kUsage, cat("the number of resamples is ", resamples, ", not 1 to ", kMostResamples));
  }
}

std::string table_of(const ComparedType& compared) {
  std::string out = cat("IoU type: ", name_of(compared.type), "\n",
                        "          first  second  difference  95 % interval      not better\n");
  char line[128];
  for (const ComparedStat& stat : compared.stats) {
    if (stat.resamples == 0) {
      std::snprintf(line, sizeof line, " %-6s %8.3f %7.3f           -\n", stat.name.c_str(), stat.first, stat.second);
    } else {
      std::snprintf(line, sizeof line, " %-6s %8.3f %7.3f      %+.3f  %+.3f .. %+.3f      %.4f\n", stat.name.c_str(),
                    stat.first, stat.second, stat.difference, stat.low, stat.high, stat.not_better);
    }
    out += line;
  }
  return out;
}

nlohmann::json stat_to_json(const ComparedStat& stat) {
  const bool defined = stat.first >= 0 && stat.second >= 0, drawn = stat.resamples > 0;
  const auto value = [](bool known, double number) { return known ? nlohmann::json(number) : nlohmann::json(); };
  return {{"name", stat.name},
          {"first", stat.first},
          {"second", stat.second},
          {"difference", value(defined, stat.difference)},
          {"low", value(drawn, stat.low)},
          {"high", value(drawn, stat.high)},
          {"not_better", value(drawn, stat.not_better)},
          {"resamples", stat.resamples}};
}

}  // namespace

Comparison compare(const std::string& annotations, const std::string& first, const std::string& second,
                   const EvalConfig& config, int resamples, uint64_t seed) {
  config.check();
  check(annotations, first, second, resamples);
  DetectionLoader first_loader(first, config);
  const GroundTruth truth = load_ground_truth(annotations, config);
  std::vector<uint32_t> at_hand;
  const std::vector<bool> chosen = chosen_images(truth, config);
  for (uint32_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) at_hand.push_back(i);
  }
  // One list after the other, so that only one is in memory.
  const std::vector<RankedMatches> first_ranked = rank(truth, first_loader.finish(truth), config);
  const std::vector<RankedMatches> second_ranked = rank(truth, load_detections(second, truth, config), config);
  Comparison out{resamples, seed, static_cast<int64_t>(at_hand.size()), {}};
  for (size_t i = 0; i < config.iou_types.size(); ++i) {
    out.types.push_back(compare_type(config.iou_types[i], first_ranked[i], second_ranked[i], at_hand,
                                     truth.images.size(), out, config.threads));
  }
  return out;
}

std::string to_table(const Comparison& comparison) {
  std::string out = cat("paired bootstrap: ", comparison.resamples, " resamples of ", comparison.images,
                        " images, seed ", comparison.seed, "\n");
  for (const ComparedType& compared : comparison.types) out += table_of(compared);
  return out;
}

nlohmann::json to_json(const Comparison& comparison) {
  nlohmann::json types = nlohmann::json::array();
  for (const ComparedType& compared : comparison.types) {
    nlohmann::json stats = nlohmann::json::array();
    for (const ComparedStat& stat : compared.stats) stats.push_back(stat_to_json(stat));
    types.push_back({{"iou_type", name_of(compared.type)}, {"stats", std::move(stats)}});
  }
  return {{"resamples", comparison.resamples},
          {"seed", comparison.seed},
          {"images", comparison.images},
          {"types", std::move(types)}};
}

}  // namespace iuq::eval
