#include "lib/data/segment_pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::data {
namespace {

using nlohmann::json;

// Layout of a segment: kind, then uint32 words, unaligned.
//   polygons   parts, length of each part, the values of all parts
//   RLE        height, width, number of counts or characters, then these
enum Kind : uint8_t { kHundredths, kDoubles, kCounts, kString };

constexpr size_t kBlock = size_t{4} << 20;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kBadData, what); }

template <class T>
T load(const uint8_t* from, size_t index = 0) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
uint8_t* store(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(T));
  return to + sizeof(T);
}

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 40 ? text.substr(0, 37) + "..." : text;
}

/// v as whole hundredths if that loses nothing.
std::optional<int32_t> hundredths(double v) {
  if (!(std::fabs(v) < 2e7)) return std::nullopt;
  const auto n = static_cast<int32_t>(v * 100 + (v < 0 ? -0.5 : 0.5));
  if (static_cast<double>(n) / 100 != v || (v == 0 && std::signbit(v))) return std::nullopt;
  return n;
}

uint32_t length(size_t n) {
  if (n > UINT32_MAX / 16) fail("segmentation is too long");
  return static_cast<uint32_t>(n);
}

uint32_t side(const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > INT32_MAX) {
    fail(cat("\"segmentation.size\" has ", shown(value), ", must be two integers [height, width]"));
  }
  return value.get<uint32_t>();
}

/// Words and values of a polygon segment.
struct PolygonView {
  explicit PolygonView(SegmentPool::Handle segment)
      : whole(segment[0] == kHundredths), parts(load<uint32_t>(segment + 1)), lengths(segment + 5),
        values(lengths + size_t{4} * parts) {}
  uint32_t part_length(size_t part) const { return load<uint32_t>(lengths, part); }
  double value(size_t i) const { return whole ? load<int32_t>(values, i) / 100.0 : load<double>(values, i); }

  bool whole;
  uint32_t parts;
  const uint8_t* lengths;
  const uint8_t* values;
};

bool is_polygons(SegmentPool::Handle segment) { return segment[0] <= kDoubles; }

mask::Rle unpack_rle(SegmentPool::Handle segment) {
  const auto height = load<uint32_t>(segment + 1), width = load<uint32_t>(segment + 5);
  const auto n = load<uint32_t>(segment + 9);
  const uint8_t* data = segment + 13;
  mask::Rle rle{height, width, {}};
  if (segment[0] == kString) {
    rle = mask::from_string({reinterpret_cast<const char*>(data), n}, height, width);
  } else if (n > 0) {
    rle.counts.resize(n);
    std::memcpy(rle.counts.data(), data, size_t{4} * n);
  }
  mask::check(rle);
  return rle;
}

}  // namespace

uint8_t* SegmentPool::allocate(size_t bytes) {
  if (bytes > left_) {
    left_ = std::max(bytes, kBlock);
    blocks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(left_));
    next_ = blocks_.back().get();
    bytes_ += static_cast<int64_t>(left_);
  }
  uint8_t* out = next_;
  next_ += bytes;
  left_ -= bytes;
  return out;
}

SegmentPool::Handle SegmentPool::add(const json& segmentation) {
  if (segmentation.is_array()) return add_polygons(segmentation);
  if (segmentation.is_object()) return add_rle(segmentation);
  fail(cat("\"segmentation\" is ", shown(segmentation), ", must be a list of polygons or an RLE object"));
}

SegmentPool::Handle SegmentPool::add_polygons(const json& list) {
  if (list.empty()) fail("\"segmentation\" is [], must hold at least one polygon");
  values_.clear();
  bool whole = true;
  for (size_t part = 0; part < list.size(); ++part) {
    const json& polygon = list[part];
    if (!polygon.is_array()) {
      fail(cat("\"segmentation\"[", part, "] is ", shown(polygon), ", must be a list of numbers"));
    }
    if (polygon.size() < 6 || polygon.size() % 2 != 0) {
      fail(cat("\"segmentation\"[", part, "] has ", polygon.size(),
               " numbers, must have an even count of at least 6 (x, y of three points)"));
    }
    for (const json& number : polygon) {
      if (!number.is_number()) {
        fail(cat("\"segmentation\"[", part, "] holds ", shown(number), ", must hold numbers only"));
      }
      values_.push_back(number.get<double>());
      whole = whole && hundredths(values_.back());
    }
  }
  length(values_.size());
  uint8_t* const segment = allocate(5 + 4 * list.size() + (whole ? 4 : 8) * values_.size());
  uint8_t* to = store(segment, static_cast<uint8_t>(whole ? kHundredths : kDoubles));
  to = store(to, length(list.size()));
  for (const json& polygon : list) to = store(to, length(polygon.size()));
  for (const double v : values_) to = whole ? store(to, *hundredths(v)) : store(to, v);
  return segment;
}

SegmentPool::Handle SegmentPool::add_rle(const json& rle) {
  const auto size = rle.find("size"), counts = rle.find("counts");
  if (size == rle.end() || !size->is_array() || size->size() != 2) {
    fail("\"segmentation.size\" must be two integers [height, width]");
  }
  const uint32_t height = side((*size)[0]), width = side((*size)[1]);
  if (counts == rle.end() || !(counts->is_string() || counts->is_array())) {
    fail("\"segmentation.counts\" must be a string (compressed) or a list of integers");
  }
  const bool text = counts->is_string();
  const uint32_t n = length(text ? counts->get_ref<const std::string&>().size() : counts->size());
  uint8_t* const segment = allocate(13 + (text ? 1 : 4) * size_t{n});
  uint8_t* to = store(segment, static_cast<uint8_t>(text ? kString : kCounts));
  to = store(store(store(to, height), width), n);
  if (text) {
    std::memcpy(to, counts->get_ref<const std::string&>().data(), n);
    return segment;
  }
  for (const json& count : *counts) {
    if (!count.is_number_unsigned() || count.get<uint64_t>() > UINT32_MAX) {
      fail(cat("\"segmentation.counts\" holds ", shown(count), ", must hold integers >= 0"));
    }
    to = store(to, count.get<uint32_t>());
  }
  return segment;
}

void SegmentPool::check(Handle segment, int64_t height, int64_t width) {
  if (!is_polygons(segment)) {
    const int64_t h = load<uint32_t>(segment + 1), w = load<uint32_t>(segment + 5);
    if (h != height || w != width) {
      fail(cat("\"segmentation.size\" is [", h, ", ", w, "], but its image is [", height, ", ", width, "]"));
    }
    unpack_rle(segment);
    return;
  }
  // Far outside, the rasteriser's work would grow without bound, and the numbers are surely not pixels of this image.
  const auto limit = static_cast<double>(std::max(height, width));
  const PolygonView view(segment);
  size_t i = 0;
  for (uint32_t part = 0; part < view.parts; ++part) {
    for (uint32_t k = 0; k < view.part_length(part); ++k) {
      const double v = view.value(i++);
      if (!(v >= -limit && v <= 2 * limit)) {
        fail(cat("\"segmentation\"[", part, "] has the coordinate ", v, ", far outside its image of ", height, " x ",
                 width, " (height x width)"));
      }
    }
  }
}

std::optional<std::vector<std::vector<double>>> SegmentPool::polygons(Handle segment) {
  if (!is_polygons(segment)) return std::nullopt;
  const PolygonView view(segment);
  std::vector<std::vector<double>> out(view.parts);
  size_t i = 0;
  for (uint32_t part = 0; part < view.parts; ++part) {
    out[part].resize(view.part_length(part));
    for (double& v : out[part]) v = view.value(i++);
  }
  return out;
}

mask::Rle SegmentPool::mask(Handle segment, int64_t height, int64_t width) {
  const auto outline = polygons(segment);
  return outline ? mask::from_polygons(*outline, height, width) : unpack_rle(segment);
}

}  // namespace iuq::data
