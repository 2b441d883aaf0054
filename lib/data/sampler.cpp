#include "lib/data/sampler.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/base/rng.h"

namespace iuq::data {

std::vector<int64_t> training_images(const Dataset& set, bool drop_empty) {
  std::vector<int64_t> images;
  for (size_t i = 0; i < set.images().size(); ++i) {
    const auto annotations = set.annotations_of(set.images()[i]);
    const bool useful = std::any_of(annotations.begin(), annotations.end(), [](const auto& a) { return !a.crowd; });
    if (useful || !drop_empty) images.push_back(static_cast<int64_t>(i));
  }
  return images;
}

std::vector<int64_t> nested_subset(const Dataset& set, const std::vector<int64_t>& images, int64_t count) {
  std::vector<std::pair<uint64_t, int64_t>> drawn;  // what an image drew, image
  for (const int64_t image : images) {
    const int64_t id = set.images().at(static_cast<size_t>(image)).id;
    drawn.emplace_back(Rng(0, "nested-subset", static_cast<uint64_t>(id)).next(), image);
  }
  std::sort(drawn.begin(), drawn.end());
  drawn.resize(std::min(drawn.size(), static_cast<size_t>(count)));
  std::vector<int64_t> subset;
  for (const auto& [number, image] : drawn) subset.push_back(image);
  std::sort(subset.begin(), subset.end());
  return subset;
}

std::vector<double> repeat_factors(const Dataset& set, const std::vector<int64_t>& images, double threshold) {
  const auto categories_of = [&](int64_t image) {
    std::vector<int64_t> present;
    for (const Annotation& a : set.annotations_of(set.images().at(static_cast<size_t>(image)))) {
      if (!a.crowd) present.push_back(a.category);
    }
    std::sort(present.begin(), present.end());
    present.erase(std::unique(present.begin(), present.end()), present.end());
    return present;
  };
  std::vector<int64_t> image_count(set.categories().size(), 0);
  for (const int64_t image : images) {
    for (const int64_t category : categories_of(image)) ++image_count[static_cast<size_t>(category)];
  }
  std::vector<double> factors;
  factors.reserve(images.size());
  for (const int64_t image : images) {
    double factor = 1;
    for (const int64_t category : categories_of(image)) {
      const double fraction =
          static_cast<double>(image_count[static_cast<size_t>(category)]) / static_cast<double>(images.size());
      factor = std::max(factor, std::sqrt(threshold / fraction));
    }
    factors.push_back(factor);
  }
  return factors;
}

EpochSampler::EpochSampler(std::vector<int64_t> items, uint64_t seed, std::vector<double> repeats)
    : items_(std::move(items)), seed_(seed), repeats_(std::move(repeats)) {
  if (items_.empty()) throw Error(ErrorCode::kBadData, "there is no image to train on (all without annotations?)");
  IUQ_ASSERT(repeats_.empty() || repeats_.size() == items_.size());
  for (const double repeat : repeats_) IUQ_ASSERT(repeat >= 1);
}

std::vector<int64_t> EpochSampler::entries_of(int64_t epoch) const {
  if (repeats_.empty()) return items_;
  Rng rng(seed_, "epoch-repeats", static_cast<uint64_t>(epoch));
  std::vector<int64_t> entries;
  for (size_t i = 0; i < items_.size(); ++i) {
    const double whole = std::floor(repeats_[i]);
    const auto times = static_cast<int64_t>(whole) + (rng.uniform() < repeats_[i] - whole ? 1 : 0);
    entries.insert(entries.end(), static_cast<size_t>(times), items_[i]);
  }
  return entries;
}

int64_t EpochSampler::epoch_length(int64_t epoch) {
  IUQ_ASSERT(epoch >= 0);
  while (static_cast<int64_t>(starts_.size()) <= epoch + 1) {
    const auto last = static_cast<int64_t>(starts_.size()) - 1;
    const size_t length = repeats_.empty() ? items_.size() : entries_of(last).size();
    starts_.push_back(starts_.back() + static_cast<int64_t>(length));
  }
  return starts_[static_cast<size_t>(epoch) + 1] - starts_[static_cast<size_t>(epoch)];
}

int64_t EpochSampler::epoch_of(int64_t position) {
  IUQ_ASSERT(position >= 0);
  if (repeats_.empty()) return position / static_cast<int64_t>(items_.size());
  while (starts_.back() <= position) epoch_length(static_cast<int64_t>(starts_.size()) - 1);
  return std::upper_bound(starts_.begin(), starts_.end(), position) - starts_.begin() - 1;
}

int64_t EpochSampler::at(int64_t position) {
  const int64_t epoch = epoch_of(position);
  if (epoch != epoch_) {
    const std::vector<int64_t> entries = entries_of(epoch);
    Rng rng(seed_, "epoch-order", static_cast<uint64_t>(epoch));
    order_.clear();
    for (const int64_t i : rng.permutation(static_cast<int64_t>(entries.size()))) {
      order_.push_back(entries[static_cast<size_t>(i)]);
    }
    epoch_ = epoch;
  }
  const auto item_count = static_cast<int64_t>(items_.size());
  const int64_t start = repeats_.empty() ? epoch * item_count : starts_[static_cast<size_t>(epoch)];
  return order_[static_cast<size_t>(position - start)];
}

}  // namespace iuq::data
