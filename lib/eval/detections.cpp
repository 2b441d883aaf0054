#include "lib/eval/detections.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/base/error.h"
#include "lib/base/huge_pages.h"
#include "lib/base/log.h"
#include "lib/eval/fields.h"
#include "lib/eval/parallel.h"
#include "lib/eval/result_sink.h"
#include "lib/io/record_parser.h"

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

  void run(Harvest& harvest) {
    std::vector<Detection>& records = harvest.records;
    const Tally tally = look_up(harvest);
    // The reference refuses the whole file; having read on lets the message say how much of it is foreign.
    if (tally.foreign > 0) {
      throw Error(ErrorCode::kBadData,
                  cat(place_of(path_, "", static_cast<int64_t>(tally.first_foreign), "image_id"), " is ",
                      harvest.ids[tally.first_foreign][0], ", which is not in the annotations; ", records.size() - tally.foreign,
                      " of ", records.size(), " results have an image of this annotation file"));
    }
    if (tally.unlisted > 0) {
      log::warning(cat("\"", path_, "\": ", tally.unlisted, " of ", records.size(), " results have a category_id that the "
                       "annotations do not list, and do not count"));
    }
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
  };

  Tally look_up(Harvest& harvest) const {
    Tally total;
    std::mutex mutex;
    parallel_for(harvest.records.size(), kRecordsAtATime, config_.threads, [&](size_t begin, size_t end) {
      Lookup image_of(truth_.image_of), category_of(truth_.category_of);
      Tally tally;
      for (size_t i = begin; i < end; ++i) {
        Detection& record = harvest.records[i];
        record.image = image_of(harvest.ids[i][0]);
        record.category = category_of(harvest.ids[i][1]);
        if (record.image == kUnlisted && tally.foreign++ == 0) tally.first_foreign = i;
        tally.unlisted += record.category == kUnlisted;
        tally.empty += !(record.area > 0);
      }
      const std::lock_guard lock(mutex);
      total.foreign += tally.foreign;
      total.first_foreign = std::min(total.first_foreign, tally.first_foreign);
      total.unlisted += tally.unlisted;
      total.empty += tally.empty;
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

/// Reads the pieces of the file on several threads. One parser, the master, has the say about what the file means; the
/// others read ahead in the hope that a piece begins and ends between two records, which the master confirms in order.
/// What is not so, or is wrong, the master reads again.
class DetectionLoader::Reader {
 public:
  Reader(const std::string& path, const EvalConfig& config, size_t block)
      : path_(path), config_(config), truth_(promise_.get_future()),
        rules_{path_, config_, [this]() -> const GroundTruth& { return *truth_.get(); }},
        pieces_(path, block), sink_(rules_, harvest_, detections_.text), master_(path, {""}, sink_) {
    for (int i = 1; i < config_.threads; ++i) helpers_.emplace_back([this] { work(); });
  }

  ~Reader() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      if (!promised_) promise_.set_exception(std::make_exception_ptr(Error(ErrorCode::kInternal, "no annotations")));
    }
    moved_on_.notify_all();
    helpers_.clear();
  }

  Detections finish(const GroundTruth& truth) {
    promised_ = true;
    promise_.set_value(&truth);
    work();
    helpers_.clear();
    for (TextStore& store : stores_) detections_.text.join(std::move(store));
    if (error_) std::rethrow_exception(error_);
    if (!master_.finish().empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" is not a list of results [{\"image_id\": ...}, ...]"));
    }
    if (harvest_.records.empty()) {
      log::warning(cat("\"", path_, "\" is an empty list; this evaluates a model that finds nothing"));
    }
    Resolver(path_, truth, config_).run(harvest_);
    detections_.records = std::move(harvest_.records);
    harvest_ = {};
    spare_.clear();
    return std::move(detections_);
  }

 private:
  struct Part {
    std::string piece;
    Harvest harvest;
    bool clean = false;
    std::exception_ptr error;  // it could not be read: an error too has its turn, so that the first in the file is told
  };

  void work() {
    TextStore store;
    try {
      Part part;
      for (size_t number = 0; next_part(part, number); part = spare_part()) {
        if (!wait_for_turn(number)) break;
        if (number > 0 && !part.error) read_ahead(part, store);
        commit(number, std::move(part));
      }
    } catch (...) {
      fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    stores_.push_back(std::move(store));  // detections_.text is the master's, who may still be at work
  }

  // Its storage is used again: pages fresh from the system are what reading would spend most of its time on.
  Part spare_part() {
    const std::lock_guard lock(mutex_);
    if (spare_.empty()) return {};
    Part part = std::move(spare_.back());
    spare_.pop_back();
    part.harvest.records.clear();
    part.harvest.ids.clear();
    part.clean = false;
    return part;
  }

  bool next_part(Part& part, size_t& number) {
    try {
      return pieces_.next(part.piece, number);
    } catch (const Error&) {
      part.error = std::current_exception();
      return true;
    }
  }

  // The first piece sets the rules for all; then nobody may run far ahead, for memory's sake.
  bool wait_for_turn(size_t number) {
    std::unique_lock lock(mutex_);
    const size_t ahead = 4 * static_cast<size_t>(config_.threads);
    moved_on_.wait(lock, [&] { return stopped_ || number == 0 || (committed_ > 0 && number < committed_ + ahead); });
    return !stopped_;
  }

  void read_ahead(Part& part, TextStore& store) {
    if (!rules_.decided) return;  // not even a record in the first piece
    ResultSink sink(rules_, part.harvest, store);
    io::RecordParser parser(path_, {""}, sink);
    parser.begin_within_list();
    try {
      parser.feed(part.piece);
      part.clean = parser.is_within_list();
    } catch (const Error&) {
      part.clean = false;  // the master finds it too, in its turn, and knows where it is
    }
  }

  void commit(size_t number, Part part) {
    std::unique_lock lock(mutex_);
    waiting_.emplace(number, std::move(part));
    if (committing_) return;  // whoever is at it takes this one too
    committing_ = true;
    try {
      for (auto it = waiting_.find(committed_); it != waiting_.end() && !stopped_; it = waiting_.find(committed_)) {
        Part next = std::move(it->second);
        waiting_.erase(it);
        lock.unlock();
        take(next);
        lock.lock();
        spare_.push_back(std::move(next));
        ++committed_;
        moved_on_.notify_all();
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      committing_ = false;
      throw;
    }
    committing_ = false;
  }

  void take(const Part& part) {
    if (part.error) std::rethrow_exception(part.error);
    if (!part.clean || !master_.is_within_list()) return master_.feed(part.piece);
    master_.skip(part.piece, static_cast<int64_t>(part.harvest.records.size()));
    make_room(part);
    harvest_.records.insert(harvest_.records.end(), part.harvest.records.begin(), part.harvest.records.end());
    harvest_.ids.insert(harvest_.ids.end(), part.harvest.ids.begin(), part.harvest.ids.end());
  }

  // For as many records as the file seems to hold, so that they are not moved again and again.
  void make_room(const Part& part) {
    bytes_ += part.piece.size();
    records_ += part.harvest.records.size();
    const size_t needed = harvest_.records.size() + part.harvest.records.size();
    if (needed <= harvest_.records.capacity()) return;
    const double share = static_cast<double>(pieces_.size_hint()) / static_cast<double>(bytes_);
    const auto expected = static_cast<size_t>(1.02 * share * static_cast<double>(records_));
    reserve_huge(harvest_.records, std::max(expected, needed + needed / 2));
    reserve_huge(harvest_.ids, harvest_.records.capacity());
  }

  void fail(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = error;
      stopped_ = true;
    }
    moved_on_.notify_all();
  }

  const std::string path_;
  const EvalConfig config_;
  std::promise<const GroundTruth*> promise_;
  std::shared_future<const GroundTruth*> truth_;
  bool promised_ = false;
  ResultRules rules_;
  io::RecordPieces pieces_;
  Detections detections_;
  Harvest harvest_;
  ResultSink sink_;
  io::RecordParser master_;
  size_t bytes_ = 0, records_ = 0;  // of the pieces the master did not read itself

  std::mutex mutex_;  // of what follows
  std::condition_variable moved_on_;
  std::map<size_t, Part> waiting_;
  std::vector<Part> spare_;
  size_t committed_ = 0;
  bool committing_ = false, stopped_ = false;
  std::exception_ptr error_;
  std::vector<TextStore> stores_;  // of threads that are done
  std::vector<std::jthread> helpers_;
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
