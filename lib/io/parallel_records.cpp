#include "lib/io/parallel_records.h"

#include <algorithm>

#include "lib/base/error.h"

namespace iuq::io {

ParallelRecords::ParallelRecords(const std::string& path, const std::vector<std::string>& sections, RecordConsumer& consumer,
                                 int threads, size_t block)
    : path_(path), sections_(sections), consumer_(consumer), threads_(std::max(1, threads)), pieces_(path, block),
      master_batch_(consumer.make_batch()), master_(path, sections, *master_batch_) {
  const auto pieces = 1 + static_cast<size_t>(pieces_.size_hint()) / block;
  const size_t useful = pieces_.size_hint() > 0 ? std::min(pieces, static_cast<size_t>(threads_)) : static_cast<size_t>(threads_);
  for (size_t i = 1; i < useful; ++i) helpers_.emplace_back([this] { work(); });
}

ParallelRecords::~ParallelRecords() {
  fail(nullptr);
  helpers_.clear();
}

std::vector<std::string> ParallelRecords::finish() {
  work();
  helpers_.clear();
  if (error_) std::rethrow_exception(error_);
  std::vector<std::string> missing = master_.finish();
  hand_on(*master_batch_, 0, 0);
  spare_.clear();
  return missing;
}

void ParallelRecords::work() {
  try {
    Part part = spare_part();
    std::optional<size_t> section;
    for (size_t number = 0; next_part(part, number); part = spare_part()) {
      if (!wait_for_turn(number, section)) break;
      if (section && !part.error) read_ahead(part, *section);
      commit(number, std::move(part));
    }
  } catch (...) {
    fail(std::current_exception());
  }
}

// Its storage is used again: pages fresh from the system are what reading would spend most of its time on.
ParallelRecords::Part ParallelRecords::spare_part() {
  const std::lock_guard lock(mutex_);
  Part part;
  if (spare_.empty()) {
    part.batch = consumer_.make_batch();
    return part;
  }
  part = std::move(spare_.back());
  spare_.pop_back();
  part.batch->clear();
  part.clean = false;
  return part;
}

bool ParallelRecords::next_part(Part& part, size_t& number) {
  try {
    return pieces_.next(part.piece, number);
  } catch (const Error&) {
    part.error = std::current_exception();
    return true;
  }
}

// After the first piece the section is known. Running far ahead would cost memory.
bool ParallelRecords::wait_for_turn(size_t number, std::optional<size_t>& section) {
  std::unique_lock lock(mutex_);
  const size_t ahead = 2 * static_cast<size_t>(threads_);
  moved_on_.wait(lock, [&] { return stopped_ || number == 0 || (committed_ > 0 && number < committed_ + ahead); });
  section = section_;
  return !stopped_;
}

void ParallelRecords::read_ahead(Part& part, size_t section) {
  RecordParser parser(path_, sections_, *part.batch);
  parser.begin_within(section);
  part.section = section;
  try {
    parser.feed(part.piece);
    part.clean = parser.section_within() == section;
    part.records = parser.next_index();
  } catch (const Error&) {
    part.clean = false;  // the master meets the same error when the piece is committed, and knows line and index
  }
}

void ParallelRecords::commit(size_t number, Part part) {
  std::unique_lock lock(mutex_);
  waiting_.emplace(number, std::move(part));
  if (committing_) return;  // the thread that is committing takes this piece too
  committing_ = true;
  try {
    for (auto it = waiting_.find(committed_); it != waiting_.end() && !stopped_; it = waiting_.find(committed_)) {
      Part next = std::move(it->second);
      waiting_.erase(it);
      lock.unlock();
      take(next);
      const std::optional<size_t> section = master_.section_within();
      lock.lock();
      spare_.push_back(std::move(next));
      ++committed_;
      section_ = section;
      moved_on_.notify_all();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    committing_ = false;
    throw;
  }
  committing_ = false;
}

void ParallelRecords::take(Part& part) {
  if (part.error) std::rethrow_exception(part.error);
  if (part.clean && master_.section_within() == part.section) {
    const int64_t first = master_.next_index();
    master_.skip(part.piece, part.records);
    return hand_on(*part.batch, first, part.piece.size());
  }
  master_.feed(part.piece);
  hand_on(*master_batch_, 0, part.piece.size());
  master_batch_->clear();
}

void ParallelRecords::hand_on(RecordBatch& batch, int64_t first, size_t bytes) {
  bytes_ += bytes;
  const auto size = static_cast<size_t>(pieces_.size_hint());
  consumer_.take(batch, {first, bytes, size > bytes_ ? size - bytes_ : 0});
}

void ParallelRecords::fail(std::exception_ptr error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    stopped_ = true;
  }
  moved_on_.notify_all();
}

}  // namespace iuq::io
