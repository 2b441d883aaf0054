#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/io/record_parser.h"
#include "lib/io/record_pieces.h"

namespace iuq::io {

/// Collects the records of a part of a file. Filled by one thread at a time.
class RecordBatch : public RecordSink {
 public:
  virtual void clear() = 0;  // to be filled again; storage is kept
};

/// Where a batch comes from.
struct BatchOrigin {
  int64_t first = 0;      // to be added to the index of each of its records
  size_t bytes = 0;       // of the file, in this batch
  size_t bytes_left = 0;  // behind it; 0 when that is not known
  /// How many records are still to come if they go on like `count` in this batch.
  size_t expected(size_t count) const {
    return bytes == 0 ? 0 : static_cast<size_t>(1.02 * static_cast<double>(count) * static_cast<double>(bytes_left) / static_cast<double>(bytes));
  }
};

/// Takes the records of a file from ParallelRecords.
class RecordConsumer {
 public:
  virtual ~RecordConsumer() = default;
  /// Called by any thread, one at a time.
  virtual std::unique_ptr<RecordBatch> make_batch() = 0;
  /// All batches in the order of the file, one at a time, each by whatever thread.
  virtual void take(RecordBatch& batch, const BatchOrigin& origin) = 0;
};

/// Reads the records of a COCO-style JSON file on several threads. What arrives at the consumer, and which error is thrown (the
/// first of the file), depends neither on their number nor on the size of the blocks.
///
/// Threads. The file is cut into pieces of about a megabyte. One parser, the master, goes through the pieces in order and so
/// knows in which list it is. The threads read ahead: each takes the next piece, assumes that it begins and ends between two
/// records of the list that the master was in, and fills a batch. When all earlier pieces are done, a piece is committed: if
/// the assumption was right, the master skips the piece and the batch is handed on; if not, or if something in the piece is
/// wrong, the master reads it again.
///
/// Invariants. Only one thread at a time works on a piece; `waiting_` has the pieces that were read ahead but not committed. The
/// thread that sets `committing_` is the only one that uses the master, its batch and the consumer's take(), until it clears it.
/// No thread reads ahead before the first piece is committed, or more than a few pieces beyond the last one that was.
///
/// Locks. `mutex_` guards the members below it. It is not held while records are read or taken. RecordPieces has a lock of its
/// own; neither lock is taken while the other is held.
class ParallelRecords {
 public:
  /// Begins at once, on at most threads - 1 threads. `consumer` must outlive this. `sections`, `path`: as in RecordParser and
  /// RecordPieces. Error(kNoInput).
  ParallelRecords(const std::string& path, const std::vector<std::string>& sections, RecordConsumer& consumer, int threads,
                  size_t block = RecordPieces::kBlock);
  /// Stops reading and waits for the threads.
  ~ParallelRecords();

  /// Reads the rest with the caller's help. Returns the sections that the file does not have. Errors: kNoInput, kIo, kBadData
  /// as RecordParser, RecordPieces and the batches throw them.
  std::vector<std::string> finish();

 private:
  struct Part {
    std::string piece;
    std::unique_ptr<RecordBatch> batch;
    size_t section = 0;
    int64_t records = 0;
    bool clean = false;        // it begins and ends between records of `section`, and all is well
    std::exception_ptr error;  // the piece could not be read; thrown when it is committed, so that the first error of the file is reported
  };

  void work();
  bool next_part(Part& part, size_t& number);
  bool wait_for_turn(size_t number, std::optional<size_t>& section);
  void read_ahead(Part& part, size_t section);
  void commit(size_t number, Part part);
  void take(Part& part);
  void hand_on(RecordBatch& batch, int64_t first, size_t bytes);
  Part spare_part();
  void fail(std::exception_ptr error);

  const std::string path_;
  const std::vector<std::string> sections_;
  RecordConsumer& consumer_;
  const int threads_;
  RecordPieces pieces_;
  std::unique_ptr<RecordBatch> master_batch_;
  RecordParser master_;
  size_t bytes_ = 0;  // handed on

  std::mutex mutex_;
  std::condition_variable moved_on_;
  std::map<size_t, Part> waiting_;
  std::vector<Part> spare_;
  size_t committed_ = 0;
  std::optional<size_t> section_;  // that the master is in, with records before and, it seems, behind
  bool committing_ = false, stopped_ = false;
  std::exception_ptr error_;

  std::vector<std::jthread> helpers_;  // last: they use all of the above
};

}  // namespace iuq::io
