#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/mask/rle.h"

namespace iuq::data {

/// The segmentations of a data set, packed without loss: polygons whose coordinates are all whole hundredths of a pixel
/// (COCO's are) take 4 bytes per number, others 8; compressed RLE stays the string it was. Handles stay valid when the
/// pool moves.
class SegmentPool {
 public:
  using Handle = const uint8_t*;

  /// Packs the "segmentation" of an annotation: a list of polygons, or {"size", "counts"} with counts as a string or a
  /// list. Checks everything that needs no image size. Throws Error(kBadData) saying what is wrong, without a place.
  Handle add(const nlohmann::json& segmentation);

  /// Checks a segmentation against its image: RLE size, run lengths, polygons within a frame three times as wide.
  static void check(Handle segment, int64_t height, int64_t width);
  /// Rasterised as pycocotools does. Error(kBadData) for broken RLE.
  static mask::Rle mask(Handle segment, int64_t height, int64_t width);
  /// The polygons, exactly as in the file; nothing for RLE.
  static std::optional<std::vector<std::vector<double>>> polygons(Handle segment);

  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* allocate(size_t bytes);
  Handle add_polygons(const nlohmann::json& list);
  Handle add_rle(const nlohmann::json& rle);

  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  size_t left_ = 0;       // free bytes at the end of the current block
  uint8_t* next_ = nullptr;
  int64_t bytes_ = 0;
  std::vector<double> values_;  // scratch
};

}  // namespace iuq::data
