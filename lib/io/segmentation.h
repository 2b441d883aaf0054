#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/json_cursor.h"

namespace iuq::io {

/// The "segmentation" of a record: polygons, or run lengths as a list or as a compressed string. Made to be used again for
/// the next record, so that its storage is not fetched anew.
struct Segmentation {
  enum class Kind : uint8_t { kPolygons, kCounts, kString };
  Kind kind = Kind::kPolygons;
  std::vector<double> numbers;          // x, y, x, y, ... in pixels, of all polygons
  std::vector<uint32_t> lengths;        // how many of them each polygon has
  uint32_t height = 0, width = 0;       // kCounts, kString
  std::vector<uint32_t> counts;         // kCounts
  std::string_view text;                // kString: into the record, into `unescaped` or into what was unpacked
  std::string unescaped;
  // Of what was read the general way:
  uint32_t thin_parts = 0;  // polygons of fewer than three points or of half a point; left out, but see PolygonRule
  bool nothing = false;     // there is no mask: the value is empty, or no polygon of it has three points
};

/// Which polygons need three points: each (six numbers or more, x and y of each point; others are left out), or only the first
/// (more than four numbers), as in pycocotools, which draws the others whatever they have; where the first has fewer it gives
/// up, and polygons are left out as by kAll.
enum class PolygonRule { kAll, kFirst };

/// Plain forms at the speed of memory; false leaves it to the general way.
bool read_segmentation(JsonCursor& cursor, PolygonRule rule, Segmentation& out);
/// Any form, also an RLE that is alone in a list. "", or what is wrong as read_field() says it.
std::string read_segmentation(const nlohmann::json& value, PolygonRule rule, Segmentation& out);

/// A segmentation in few bytes and without loss: polygons whose numbers are all whole hundredths (COCO's are) take 4 bytes
/// a number, others 8; a compressed string stays as it is.
void pack(const Segmentation& segmentation, std::vector<uint8_t>& out);  // appends
void unpack(const uint8_t* packed, Segmentation& out);                   // out.text is a view into `packed`

/// Keeps packed segmentations. What it returned stays where it is, also when the store moves.
class SegmentationStore {
 public:
  /// Where the copy begins.
  const uint8_t* add(std::span<const uint8_t> packed);
  int64_t bytes() const { return bytes_; }

 private:
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;  // as large as what was added
  int64_t bytes_ = 0;
};

}  // namespace iuq::io
