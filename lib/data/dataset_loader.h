#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/data/annotations.h"
#include "lib/data/record.h"

namespace iuq::data {

/// Makes a Dataset of a file in two steps: records are read as they stream by (COCO lists its categories last), then
/// annotations are tied to their images and categories and checked against them.
class DatasetLoader {
 public:
  explicit DatasetLoader(const std::string& path) { set_.path_ = path; }
  Dataset load();

 private:
  // What an annotation needs until its image and category are known.
  struct Pending {
    int64_t record = 0;
    bool needs_area = false, needs_box = false;
  };

  void add_image(const Record& record);
  void add_category(const Record& record);
  void add_annotation(const Record& record, int64_t index);
  void index_images();
  void index_categories();
  void tie_annotations();
  void tie(size_t index);
  void group_by_image();
  void complete_from_mask(Annotation& annotation, const Pending& pending, SegmentPool::Handle segment,
                          const Image& image);
  void resolve(std::vector<int64_t>& category_ids, const Image& image, const char* key) const;
  [[noreturn]] void fail(const std::string& what) const;

  Dataset set_;
  std::vector<Pending> pending_;
};

}  // namespace iuq::data
