#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_set>
#include <vector>

namespace iuq::io {

/// What may be wrong with a record of an annotations file without making the file useless: the record, or a part of it, is
/// left out, or the value is found in another way. What is said and done of each is in faults.cpp; FORMAT.md is for people.
enum class Fault : uint8_t {
  kNoMask,           // the segmentation is missing or empty
  kNoPolygon,        // the segmentation has polygons, but none of three points
  kThinPart,         // a polygon of fewer than three points, or of half a point
  kNoCrowd,
  kNoArea,
  kBadArea,          // negative
  kNoBox,
  kBadBox,           // empty, or of negative width or height
  kRepeatedId,       // of an annotation
  kUnknownImage,     // of an annotation
  kUnknownCategory,  // of an annotation
  kUnknownListed,    // a category in neg_category_ids or not_exhaustive_category_ids
  kNoSize,           // of an image: missing, 0 or negative
  kBackslash,        // in file_name, where the file is found under "/"
  kCount
};

/// A set of faults in a record.
using FaultBits = uint16_t;
inline constexpr FaultBits bit_of(Fault fault) { return static_cast<FaultBits>(1u << static_cast<unsigned>(fault)); }

/// Who reads: what is done about a fault depends on it, as an evaluation follows the reference's number.
enum class FaultReader { kTraining, kEvaluation };

/// The faults that were found in a file, by kind: how many records of how many images, and which.
class FaultTally {
 public:
  struct Case {
    int64_t record = 0;  // index in its list
    int64_t id = 0;
  };
  struct Kind {
    int64_t count = 0;
    std::vector<Case> cases;                // in file order: the first few, or all
    std::unordered_set<int64_t> images;     // ids
  };

  /// `all`: keep every case and not only the first few.
  explicit FaultTally(bool all = false) : all_(all) {}
  void add(Fault fault, int64_t record, int64_t id, int64_t image);
  /// Each of `faults`.
  void add(FaultBits faults, int64_t record, int64_t id, int64_t image);
  bool empty() const;
  const Kind& of(Fault fault) const { return kinds_[static_cast<size_t>(fault)]; }

  /// "3 annotations of 2 images without segmentation (ids 1, 2, 7): they are left out"; "" if there is none.
  std::string to_text(Fault fault, FaultReader reader) const;
  /// One line that has for each kind its count, its images, the first ids and what was done; "" if there is none.
  std::string to_text(FaultReader reader) const;
  /// Every case that is kept, a line each: `annotations[3].area is missing (id 7)`.
  std::string to_list() const;
  /// A list of {"kind", "section", "records", "images", "text", "done", "cases": [{"index", "id"}]}.
  nlohmann::json to_json(FaultReader reader) const;
  /// A warning that begins with `path`, or Error(kBadData) that lists all cases if `strict`; nothing without faults.
  void report(const std::string& path, FaultReader reader, bool strict) const;

 private:
  bool all_;
  std::array<Kind, static_cast<size_t>(Fault::kCount)> kinds_;
};

}  // namespace iuq::io
