#include "lib/io/segmentation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/record_rules.h"

namespace iuq::io {
namespace {

using nlohmann::json;

constexpr double kMaxU32 = std::numeric_limits<uint32_t>::max();

// Layout of a packed one: the kind, then 32-bit words, unaligned.
//   polygons   how many, the length of each, all numbers (32-bit hundredths, or doubles)
//   RLE        height, width, how many counts or characters, then these
enum PackedKind : uint8_t { kHundredths, kDoubles, kCounts, kString };

bool enough_numbers(const Segmentation& polygons, PolygonRule rule) {
  if (rule == PolygonRule::kFirst) return !polygons.lengths.empty() && polygons.lengths[0] > 4;
  for (const uint32_t length : polygons.lengths) {
    if (length < 6 || length % 2 != 0) return false;
  }
  return !polygons.lengths.empty();
}

bool read_polygons(JsonCursor& cursor, Segmentation& out) {
  out.kind = Segmentation::Kind::kPolygons;
  out.numbers.clear();
  out.lengths.clear();
  if (!cursor.take('[')) return false;
  do {
    const size_t begin = out.numbers.size();
    if (!cursor.numbers(out.numbers)) return false;
    out.lengths.push_back(static_cast<uint32_t>(out.numbers.size() - begin));
  } while (cursor.take(','));
  return cursor.take(']');
}

bool read_u32(JsonCursor& cursor, uint32_t& out) {
  int64_t value = 0;
  if (!cursor.integer(value) || value < 0 || value > std::numeric_limits<uint32_t>::max()) return false;
  out = static_cast<uint32_t>(value);
  return true;
}

bool read_counts(JsonCursor& cursor, Segmentation& out) {
  if (cursor.peek() == '"') {
    out.kind = Segmentation::Kind::kString;
    return cursor.string_with_backslashes(out.text, out.unescaped);
  }
  out.kind = Segmentation::Kind::kCounts;
  out.counts.clear();
  if (!cursor.take('[')) return false;
  if (cursor.take(']')) return true;
  uint32_t count = 0;
  do {
    if (!read_u32(cursor, count)) return false;
    out.counts.push_back(count);
  } while (cursor.take(','));
  return cursor.take(']');
}

// {"size": [height, width], "counts": ...} in any order, each once, and nothing else.
bool read_rle(JsonCursor& cursor, Segmentation& out) {
  std::string_view key;
  bool has_size = false, has_counts = false;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    if (key == "size" && !has_size) {
      has_size = cursor.take('[') && read_u32(cursor, out.height) && cursor.take(',') && read_u32(cursor, out.width) &&
                 cursor.take(']');
      if (!has_size) return false;
    } else if (key == "counts" && !has_counts) {
      has_counts = read_counts(cursor, out);
      if (!has_counts) return false;
    } else {
      return false;
    }
  } while (cursor.take(','));
  return cursor.take('}') && has_size && has_counts;
}

bool to_u32(const json& value, uint32_t& out) {
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!(number >= 0 && number <= kMaxU32) || number != std::floor(number)) return false;
  out = static_cast<uint32_t>(number);
  return true;
}

std::string not_u32(const char* key, size_t i, const json& value) {
  return cat(key, "[", i, "] is ", shown(value), ", must be an integer of 0 to 4294967295");
}

bool is_thin(size_t numbers) { return numbers < 6 || numbers % 2 != 0; }

std::string read_polygons(const json& value, PolygonRule rule, Segmentation& out) {
  out.kind = Segmentation::Kind::kPolygons;
  out.numbers.clear();
  out.lengths.clear();
  if (value.empty()) return " is an empty list, must hold a polygon or be an RLE object";
  const bool keeps_thin = rule == PolygonRule::kFirst && value[0].size() > 4;
  for (size_t i = 0; i < value.size(); ++i) {
    const json& polygon = value[i];
    if (!polygon.is_array()) return cat("[", i, "] is ", shown(polygon), ", must be a list of numbers x0, y0, x1, y1, ...",
                                            polygon.is_number() ? "; a single polygon too stands in a list, [[x0, y0, ...]]" : "");
    for (size_t j = 0; j < polygon.size(); ++j) {
      if (!polygon[j].is_number() || !std::isfinite(polygon[j].get<double>())) {
        return cat("[", i, "][", j, "] is ", shown(polygon[j]), ", must be a number");
      }
    }
    out.thin_parts += is_thin(polygon.size());
    if (is_thin(polygon.size()) && !keeps_thin) continue;
    for (const json& number : polygon) out.numbers.push_back(number.get<double>());
    out.lengths.push_back(static_cast<uint32_t>(polygon.size()));
  }
  if (!out.lengths.empty()) return "";
  out.nothing = true;
  return cat("[0] has ", value[0].size(), " numbers, must have an even count of at least 6 (x, y of three points)");
}

std::string read_rle(const json& value, Segmentation& out) {
  const auto size = value.find("size"), counts = value.find("counts");
  if (size == value.end()) return ".size is missing, must be [height, width]";
  if (!size->is_array() || size->size() != 2) return cat(".size is ", shown(*size), ", must be [height, width]");
  if (!to_u32((*size)[0], out.height)) return not_u32(".size", 0, (*size)[0]);
  if (!to_u32((*size)[1], out.width)) return not_u32(".size", 1, (*size)[1]);
  if (counts == value.end()) return ".counts is missing, must be a string or a list of integers";
  if (counts->is_string()) {
    out.kind = Segmentation::Kind::kString;
    out.text = counts->get_ref<const std::string&>();
    return "";
  }
  if (!counts->is_array()) return cat(".counts is ", shown(*counts), ", must be a string or a list of integers");
  out.kind = Segmentation::Kind::kCounts;
  out.counts.resize(counts->size());
  for (size_t i = 0; i < counts->size(); ++i) {
    if (!to_u32((*counts)[i], out.counts[i])) return not_u32(".counts", i, (*counts)[i]);
  }
  return "";
}

// `value` as whole hundredths; false if that loses something.
bool to_hundredths(double value, int32_t& out) {
  if (!(std::fabs(value) < 2e7)) return false;
  out = static_cast<int32_t>(value * 100 + (value < 0 ? -0.5 : 0.5));
  return static_cast<double>(out) / 100 == value && !(value == 0 && std::signbit(value));
}

template <class T>
void put(std::vector<uint8_t>& out, const T* values, size_t count) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(values);
  out.insert(out.end(), bytes, bytes + count * sizeof(T));
}

void put_length(std::vector<uint8_t>& out, size_t length) {
  if (length > std::numeric_limits<uint32_t>::max() / 16) throw Error(ErrorCode::kBadData, "segmentation is too long");
  const auto word = static_cast<uint32_t>(length);
  put(out, &word, 1);
}

void pack_polygons(const Segmentation& segmentation, std::vector<uint8_t>& out) {
  const std::vector<double>& numbers = segmentation.numbers;
  const size_t kind_at = out.size();
  out.push_back(kHundredths);
  put_length(out, segmentation.lengths.size());
  put(out, segmentation.lengths.data(), segmentation.lengths.size());
  const size_t begin = out.size();
  out.resize(begin + sizeof(int32_t) * numbers.size());
  uint8_t* to = out.data() + begin;
  for (const double number : numbers) {
    int32_t hundredths = 0;
    if (!to_hundredths(number, hundredths)) {
      out.resize(begin);
      out[kind_at] = kDoubles;
      return put(out, numbers.data(), numbers.size());
    }
    std::memcpy(to, &hundredths, sizeof hundredths);
    to += sizeof hundredths;
  }
}

/// Takes words off packed bytes.
class Words {
 public:
  explicit Words(const uint8_t* at) : at_(at) {}
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  template <class T>
  void take(std::vector<T>& out, size_t count) {
    out.resize(count);
    if (count > 0) std::memcpy(out.data(), at_, count * sizeof(T));
    at_ += count * sizeof(T);
  }
  const uint8_t* at() const { return at_; }

 private:
  const uint8_t* at_;
};

void unpack_polygons(bool hundredths, Words words, Segmentation& out) {
  out.kind = Segmentation::Kind::kPolygons;
  words.take(out.lengths, words.take<uint32_t>());
  size_t count = 0;
  for (const uint32_t length : out.lengths) count += length;
  if (!hundredths) return words.take(out.numbers, count);
  out.numbers.resize(count);
  for (double& number : out.numbers) number = words.take<int32_t>() / 100.0;
}

}  // namespace

bool read_segmentation(JsonCursor& cursor, PolygonRule rule, Segmentation& out) {
  if (cursor.peek() == '{') return read_rle(cursor, out);
  return read_polygons(cursor, out) && enough_numbers(out, rule);
}

std::string read_segmentation(const json& value, PolygonRule rule, Segmentation& out) {
  out.thin_parts = 0;
  out.nothing = false;
  if (value.is_array() && value.size() == 1 && value[0].is_object()) return read_rle(value[0], out);
  if (value.is_array()) return read_polygons(value, rule, out);
  if (value.is_object()) return read_rle(value, out);
  return cat(" is ", shown(value), ", must be a list of polygons or an RLE object");
}

void pack(const Segmentation& segmentation, std::vector<uint8_t>& out) {
  if (segmentation.kind == Segmentation::Kind::kPolygons) return pack_polygons(segmentation, out);
  const bool is_text = segmentation.kind == Segmentation::Kind::kString;
  out.push_back(is_text ? kString : kCounts);
  put(out, &segmentation.height, 1);
  put(out, &segmentation.width, 1);
  put_length(out, is_text ? segmentation.text.size() : segmentation.counts.size());
  if (is_text) return put(out, segmentation.text.data(), segmentation.text.size());
  put(out, segmentation.counts.data(), segmentation.counts.size());
}

void unpack(const uint8_t* packed, Segmentation& out) {
  Words words(packed + 1);
  const auto kind = static_cast<PackedKind>(*packed);
  if (kind == kHundredths || kind == kDoubles) return unpack_polygons(kind == kHundredths, words, out);
  out.kind = kind == kString ? Segmentation::Kind::kString : Segmentation::Kind::kCounts;
  out.height = words.take<uint32_t>();
  out.width = words.take<uint32_t>();
  const auto count = words.take<uint32_t>();
  if (kind == kString) out.text = {reinterpret_cast<const char*>(words.at()), count};
  if (kind == kCounts) words.take(out.counts, count);
}

const uint8_t* SegmentationStore::add(std::span<const uint8_t> packed) {
  blocks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(packed.size()));
  std::copy(packed.begin(), packed.end(), blocks_.back().get());
  bytes_ += static_cast<int64_t>(packed.size());
  return blocks_.back().get();
}

}  // namespace iuq::io
