#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/faults.h"

namespace iuq::io {

struct Segmentation;

/// What a field of a COCO-style record holds.
enum class FieldType : uint8_t {
  kInteger,    // of 64 bits, written without a point
  kWhole,      // the same, but 3.0 too
  kId,         // likewise, or a string that is not empty, which becomes string_id()
  kNumber,
  kBit,        // 0, 1, false or true
  kFlag,       // false, true or a number; any number but 0 is true
  kText,       // a string that is not empty
  kName,       // the same, or a number, which becomes its digits
  kFrequency,  // LVIS: "r", "c" or "f"
  kIntegers,   // a list
  kWholes,     // a list
  kBox,        // [x, y, width, height]; the range is that of width and height
  kSegmentation,           // polygons of three points or more, or an RLE
  kReferenceSegmentation,  // likewise, but only the first polygon is looked at, as in pycocotools
  kUnread,                 // anything: it is not looked at
};

/// What becomes of a record in which a field is not as its rule says. RecordReader::settle() acts on it.
enum class Outcome : uint8_t {
  kRefuse,           // Error(kBadData)
  kRefuseIfCounted,  // the record is kept, with its fault, which the consumer throws if the record turns out to count
  kAsAbsent,         // as if the field were not there
};

/// The ends belong to the range.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool has(double value) const { return value >= low && value <= high; }
};

inline constexpr bool kRequired = true, kOptional = false;

/// One line of the table that says what a lawful record is. Keys that are in no line may hold anything.
struct FieldRule {
  const char* key = nullptr;
  FieldType type;
  bool required;  // an optional field may be absent or null
  Range range = {};
  Outcome otherwise = Outcome::kRefuse;
  const char* unless = nullptr;  // a flag, earlier in the table; where it is set the field may be absent
  Fault fault = Fault::kCount;   // counted, and the field taken as absent, where it is required but missing or empty, or where
                                 // its value is below the range; kCount: `otherwise` holds for these as well
};

/// The value of a field. Which member counts follows from the type of its rule.
struct FieldValue {
  bool present = false;
  int64_t integer = 0;             // kInteger, kWhole, and 0 or 1 for kBit and kFlag
  double number = 0;               // kNumber
  std::array<double, 4> box{};     // kBox
  std::string_view text;           // kText, kName, kFrequency, kId if it is a string: valid while the record is
  std::string digits;              // of a kName that is a number; `text` is a view of it
  std::vector<int64_t> integers;   // kIntegers, kWholes
};

/// Whether the field is to be taken as absent, with its fault counted: `value` is null, empty, or below the range.
bool is_faint(const nlohmann::json& value, const FieldRule& rule, const Segmentation& segmentation);

/// A negative number that stands for an id that is a string; the same in every file and process.
int64_t string_id(std::string_view text);

/// Reads `value` into `out` (a segmentation into `segmentation`), or says what is wrong in words that follow the name of
/// the field: ` is "big", must be a number`, `.counts[3] is -1, must be ...`; "" when all is well.
std::string read_field(const nlohmann::json& value, const FieldRule& rule, FieldValue& out, Segmentation& segmentation);

/// "a number >= 0", "an integer of 1 to 1048576": what the rule asks for.
std::string wanted_by(const FieldRule& rule);

/// A value for a message: short, on one line.
std::string shown(const nlohmann::json& value);

/// The value as an integer of 64 bits; 3.0 is one too where `or_float`.
bool to_integer(const nlohmann::json& value, bool or_float, int64_t& out);

/// `"gt.json": annotations[12].area`, or `"dt.json": [12].score` where the file is one list; without a key the record.
std::string field_path(const std::string& file, const std::string& section, int64_t index, const std::string& key = "");

}  // namespace iuq::io
