#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lib/infer/predictor.h"
#include "lib/io/atomic_file.h"

namespace iuq::infer {

/// Streams a COCO results list ([{image_id, category_id, score, bbox, segmentation}]) into a file that is whole or
/// absent, or to stdout for "-". bbox is that of the mask, x y w h in pixels; scores carry the digits a float32 has.
class ResultsWriter {
 public:
  explicit ResultsWriter(const std::string& path);  // Error(kCannotCreate)
  ~ResultsWriter();
  /// `image_id`: a number or a string, as the annotations have it.
  void add(const nlohmann::json& image_id, int64_t category_id, const Detection& detection);  // Error(kIo)
  void finish();                                                                // Error(kIo)
  int64_t count() const { return count_; }

 private:
  void put(const std::string& text);

  std::string path_;
  std::unique_ptr<io::AtomicFile> target_;
  std::FILE* file_ = nullptr;
  int64_t count_ = 0;
};

}  // namespace iuq::infer
