#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/data/annotations.h"
#include "lib/io/parallel_records.h"

namespace iuq::data {

/// Makes a Dataset of a file in two steps: records are read as they stream by (COCO lists its categories last), then
/// annotations are tied to their images and categories and checked against them.
///
/// Threads: io::ParallelRecords fills batches on several; take() is called by one at a time. tie() is called by several,
/// each for annotations of its own, when nothing else changes any more but the refusals, which have a lock.
class DatasetLoader final : public io::RecordConsumer {
 public:
  /// `block`: bytes read at a time; the data set does not depend on it.
  DatasetLoader(const std::string& path, ReadOptions options, size_t block = io::RecordPieces::kBlock);
  Dataset load();

  std::unique_ptr<io::RecordBatch> make_batch() override;
  void take(io::RecordBatch& batch, const io::BatchOrigin& origin) override;

 private:
  class Batch;
  // What an annotation needs until its image and category are known.
  struct Pending {
    int64_t record = 0;  // its index in the file
    uint32_t image = 0;  // index into the images, once known
    bool needs_area = false, needs_box = false;
    bool dropped = false;
    io::FaultBits faults = 0;
    bool has_area = false;  // in the file
  };

  void index_categories();
  void index_images();
  void leave_out_repeated_images();
  void settle_file(Image& image, size_t index);
  bool keep_known(std::vector<int64_t>& category_ids) const;
  void mark_repeated_ids();
  void tie_annotations();
  void tie(size_t index, io::Segmentation& scratch);
  void tally_annotations();
  void drop_annotations();
  void sort_refusals();
  void group_by_image();
  void refuse(const char* section, int64_t record, const std::string& what);
  [[noreturn]] void fail(const std::string& what) const;

  const ReadOptions options_;
  const int threads_;
  const size_t block_;
  Dataset set_;
  std::vector<int64_t> image_records_;  // of the images: their indices in the file
  std::vector<Pending> pending_;        // of the annotations
  std::mutex refusing_;                 // guards set_.refusals_ while annotations are tied
};

}  // namespace iuq::data
