#include "lib/eval/detections.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <set>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/eval/complain.h"
#include "lib/eval/result_batch.h"
#include "lib/io/parallel_records.h"

namespace iuq::eval {
namespace {

constexpr uint32_t kUnlisted = UINT32_MAX;
constexpr size_t kRecordsAtATime = 8192;

/// Looks up ids; neighbours in a file mostly share them.
class Lookup {
 public:
  explicit Lookup(const std::unordered_map<int64_t, uint32_t>& index_of) : index_of_(index_of) {}
  uint32_t operator()(int64_t id) {
    if (!known_ || id != last_id_) {
      const auto it = index_of_.find(id);
      last_ = it == index_of_.end() ? kUnlisted : it->second;
      last_id_ = id;
      known_ = true;
    }
    return last_;
  }

 private:
  const std::unordered_map<int64_t, uint32_t>& index_of_;
  bool known_ = false;
  int64_t last_id_ = 0;
  uint32_t last_ = 0;
};

/// From ids to indices, and the protocol's choice among the records.
class Resolver {
 public:
  Resolver(const std::string& path, const GroundTruth& truth, const EvalConfig& config)
      : path_(path), truth_(truth), config_(config) {}

  void run(RawDetections& raw) {
    std::vector<Detection>& records = raw.records;
    const Tally tally = look_up(raw);
    // The reference refuses the whole file; having read on lets the message say how much of it is foreign.
    if (tally.foreign > 0) {
      const int64_t id = raw.ids[tally.first_foreign][0];
      const auto name = raw.names.find(id);
      const bool is_text = name != raw.names.end();
      const bool other_kind = !truth_.images.empty() && is_text == truth_.images[0].name.empty();
      throw Error(ErrorCode::kBadData,
                  cat(io::field_path(path_, "", static_cast<int64_t>(tally.first_foreign), "image_id"), " is ",
                      is_text ? cat("\"", name->second, "\"") : std::to_string(id), ", which is not in the annotations; ",
                      records.size() - tally.foreign, " of ", records.size(), " results have an image of this annotation file",
                      !other_kind ? "" : is_text ? " (its ids are numbers)" : " (its ids are strings)"));
    }
    if (tally.unlisted > 0) {
      complain(config_, cat("\"", path_, "\": ", tally.unlisted, " of ", records.size(), " results have a category_id that the "
                       "annotations do not list, and do not count", shift_of_categories(raw)));
    }
    tally.sizes.report(config_, path_, "an annotation");
    const bool lvis = config_.protocol == Protocol::kLvis;
    if (lvis) keep_best_of_images(records);
    if (tally.unlisted > 0) std::erase_if(records, [](const Detection& d) { return d.category == kUnlisted; });
    // LVIS leaves out what has no area.
    if (lvis && tally.empty > 0) std::erase_if(records, [](const Detection& d) { return !(d.area > 0); });
  }

 private:
  // Records whose image or category is not listed, or that have no area.
  struct Tally {
    size_t foreign = 0, first_foreign = SIZE_MAX, unlisted = 0, empty = 0;
    MaskSizes sizes;
  };

  // Words for ids that are all listed once a number is added to them: a model that counts from 0, or from 1.
  std::string shift_of_categories(const RawDetections& raw) const {
    std::set<int64_t> used;
    for (const auto& ids : raw.ids) used.insert(ids[1]);
    for (const int64_t shift : {1, -1}) {
      const auto fits = [&](int64_t id) { return truth_.category_of.contains(id + shift); };
      if (std::all_of(used.begin(), used.end(), fits)) {
        return cat("; every category_id of the results would be listed if it were one ", shift > 0 ? "more" : "less",
                   " - do they count from ", shift > 0 ? "0" : "1", "?");
      }
    }
    return "";
  }

  Tally look_up(RawDetections& raw) const {
    Tally total;
    std::mutex mutex;
    parallel_for(raw.records.size(), kRecordsAtATime, config_.threads, [&](size_t begin, size_t end) {
      Lookup image_of(truth_.image_of), category_of(truth_.category_of);
      Tally tally;
      for (size_t i = begin; i < end; ++i) {
        Detection& record = raw.records[i];
        record.image = image_of(raw.ids[i][0]);
        record.category = category_of(raw.ids[i][1]);
        if (record.image == kUnlisted && tally.foreign++ == 0) tally.first_foreign = i;
        tally.unlisted += record.category == kUnlisted;
        tally.empty += !(record.area > 0);
        if (record.image == kUnlisted || record.counts.empty()) continue;
        tally.sizes.add(record.height, record.width, truth_.images[record.image]);
      }
      const std::lock_guard lock(mutex);
      total.foreign += tally.foreign;
      total.first_foreign = std::min(total.first_foreign, tally.first_foreign);
      total.unlisted += tally.unlisted;
      total.empty += tally.empty;
      total.sizes.add(tally.sizes);
    });
    return total;
  }

  // LVIS: images in order of first appearance; only those with too many results are sorted.
  void keep_best_of_images(std::vector<Detection>& records) const {
    const size_t best = static_cast<size_t>(config_.max_dets[0]);
    std::vector<std::vector<size_t>> of_image(truth_.images.size());
    std::vector<uint32_t> order;
    for (size_t i = 0; i < records.size(); ++i) {
      auto& list = of_image[records[i].image];
      if (list.empty()) order.push_back(records[i].image);
      list.push_back(i);
    }
    std::vector<size_t> kept;
    kept.reserve(records.size());
    for (const uint32_t image : order) {
      auto& list = of_image[image];
      if (list.size() > best) {
        std::stable_sort(list.begin(), list.end(), [&](size_t a, size_t b) { return records[a].score > records[b].score; });
        list.resize(best);
      }
      kept.insert(kept.end(), list.begin(), list.end());
    }
    if (kept.size() == records.size() && std::is_sorted(kept.begin(), kept.end())) return;  // all, and in place
    std::vector<Detection> chosen;
    reserve_huge(chosen, kept.size());
    for (const size_t i : kept) chosen.push_back(records[i]);
    records = std::move(chosen);
  }

  const std::string& path_;
  const GroundTruth& truth_;
  const EvalConfig& config_;
};

}  // namespace

/// Threads: io::ParallelRecords fills batches on several; take() is called by one at a time. The first record of the file sets
/// the rules before anybody reads ahead. A record that needs the annotations waits for finish(), or, if that never comes, for
/// the destructor, which breaks the promise before it waits for the threads.
class DetectionLoader::Reader final : public io::RecordConsumer {
 public:
  Reader(const std::string& path, const EvalConfig& config, size_t block)
      : path_(path), config_(config), truth_(promise_.get_future()),
        rules_{path_, config_, [this]() -> const GroundTruth& { return *truth_.get(); }},
        file_(path_, {""}, *this, config_.threads, block) {}

  ~Reader() override {
    if (!promised_) promise_.set_exception(std::make_exception_ptr(Error(ErrorCode::kInternal, "no annotations")));
  }

  Detections finish(const GroundTruth& truth) {
    promised_ = true;
    promise_.set_value(&truth);
    if (!file_.finish().empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" is an object and not a list of results [{\"image_id\": ...}, ...]; if they are its ",
                                          "\"annotations\", write that list alone"));
    }
    if (raw_.records.empty()) {
      log::warning(cat("\"", path_, "\" is an empty list; this evaluates a model that finds nothing"));
    }
    Detections out;
    for (TextStore& store : stores_) out.text.join(std::move(store));
    Resolver(path_, truth, config_).run(raw_);
    out.records = std::move(raw_.records);
    raw_ = {};
    return out;
  }

  std::unique_ptr<io::RecordBatch> make_batch() override {
    return std::make_unique<ResultBatch>(rules_, stores_.emplace_back());
  }

  void take(io::RecordBatch& taken, const io::BatchOrigin& origin) override {
    const RawDetections& batch = static_cast<ResultBatch&>(taken).detections;
    const size_t needed = raw_.records.size() + batch.records.size();
    if (needed > raw_.records.capacity()) {
      reserve_huge(raw_.records, std::max(needed + origin.expected(batch.records.size()), needed + needed / 2));
      reserve_huge(raw_.ids, raw_.records.capacity());
    }
    raw_.records.insert(raw_.records.end(), batch.records.begin(), batch.records.end());
    raw_.ids.insert(raw_.ids.end(), batch.ids.begin(), batch.ids.end());
    raw_.names.insert(batch.names.begin(), batch.names.end());
  }

 private:
  const std::string path_;
  const EvalConfig config_;
  std::promise<const GroundTruth*> promise_;
  std::shared_future<const GroundTruth*> truth_;
  bool promised_ = false;
  ResultRules rules_;
  RawDetections raw_;
  std::deque<TextStore> stores_;  // of the batches
  io::ParallelRecords file_;      // last: its threads use all of the above
};

DetectionLoader::DetectionLoader(const std::string& path, const EvalConfig& config, size_t block)
    : reader_(std::make_unique<Reader>(path, config, block)) {}

DetectionLoader::~DetectionLoader() = default;

Detections DetectionLoader::finish(const GroundTruth& truth) { return reader_->finish(truth); }

std::string_view TextStore::add(std::string_view text) {
  if (text.size() > left_) {
    left_ = std::max(kBlock, text.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    next_ = blocks_.back().get();
  }
  if (!text.empty()) std::memcpy(next_, text.data(), text.size());
  const std::string_view stored(next_, text.size());
  next_ += text.size();
  left_ -= text.size();
  return stored;
}

void TextStore::join(TextStore&& other) {
  for (auto& block : other.blocks_) blocks_.push_back(std::move(block));
  left_ = 0;  // the last block is no longer the one being filled
}

Detections load_detections(const std::string& path, const GroundTruth& truth, const EvalConfig& config) {
  return DetectionLoader(path, config).finish(truth);
}

}  // namespace iuq::eval
