#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "lib/io/parallel_records.h"
#include "lib/io/record_rules.h"
#include "lib/io/segmentation.h"

namespace iuq::io {

/// Reads the fields of one record after the other by a table of rules. A field is asked for by its line in the table.
///
/// There are two ways to the same values: of a plain record at the speed of memory, or of any record, which also has the
/// words for what is wrong:  "gt.json": annotations[12].area is "big", must be a number >= 0 (id 901)
class RecordReader {
 public:
  /// All three must outlive the reader. `section`: "" where the file is one list.
  RecordReader(const std::string& path, const std::string& section, std::span<const FieldRule> rules);

  /// The whole record at the cursor. False unless it is plain and lawful; the general way then tells more.
  bool read_plain(int64_t index, JsonCursor& cursor);
  /// Any record. Error(kBadData) by the first rule in the table that it breaks and whose outcome that is.
  void read(int64_t index, const nlohmann::json& record);
  /// The same in steps, for records in which one field decides about the others.
  void begin(int64_t index, const nlohmann::json& record);
  void read_field(size_t field);

  /// Error(kBadData) naming the key if NaN or Infinity, which are no JSON, are anywhere in the record.
  void refuse_nan() const;

  bool has(size_t field) const { return values_[field].present; }
  int64_t integer(size_t field) const { return values_[field].integer; }
  bool flag(size_t field) const { return values_[field].integer != 0; }
  double number(size_t field) const { return values_[field].number; }
  const std::array<double, 4>& box(size_t field) const { return values_[field].box; }
  std::string_view text(size_t field) const { return values_[field].text; }
  const std::vector<int64_t>& integers(size_t field) const { return values_[field].integers; }
  const Segmentation& segmentation() const { return segmentation_; }
  int64_t index() const { return index_; }
  /// The record itself, for what its rules do not read; null when it was plain.
  const nlohmann::json* record() const { return record_; }
  /// What is wrong with a record that is refused only if it counts, in words that follow its field_path(): `.area is missing`.
  /// "" if nothing.
  const std::string& fault() const { return fault_; }
  /// What is wrong with the record but does not make the file useless, as its rules say.
  FaultBits faults() const { return faults_; }

  /// Why the record was refused, in words that follow its field_path(); "" if it was not.
  const std::string& refusal() const { return refusal_; }

  /// Throw Error(kBadData) naming file, section, index, field (a line of the table, or none) and id. `what` follows the
  /// name of the field: " is missing".
  [[noreturn]] void refuse(size_t field, const std::string& what);
  [[noreturn]] void refuse(const std::string& what);

 private:
  void clear(int64_t index);
  size_t find(std::string_view key);
  bool read_plain_field(size_t field, JsonCursor& cursor);
  bool may_be_absent(const FieldRule& rule) const;
  void settle(size_t field, const std::string& what);
  bool counts_as_fault(size_t field, const nlohmann::json* value);
  std::string words_for(const std::string& key, const std::string& what) const;
  [[noreturn]] void refuse_in_words(std::string words);

  const std::string& path_;
  const std::string& section_;
  const std::span<const FieldRule> rules_;
  std::vector<FieldValue> values_;   // by line of the table
  Segmentation segmentation_;
  int64_t index_ = 0;
  const nlohmann::json* record_ = nullptr;  // when it is read the general way
  size_t next_ = 0;                  // the line that the next key is likely to have
  std::string fault_, refusal_;
  FaultBits faults_ = 0;
};

/// A section of a file, and the rules for its records.
struct SectionRules {
  std::string section;
  std::span<const FieldRule> rules;
};

/// A batch whose records are read by tables.
class RuleBatch : public RecordBatch {
 public:
  /// Both must outlive the batch. The sections are those of the ParallelRecords, in that order. `strict`: NaN and Infinity are
  /// errors where nobody reads them, too.
  RuleBatch(const std::string& path, const std::vector<SectionRules>& sections, bool strict);

  bool plain(size_t section, int64_t index, JsonCursor& cursor) final;
  void general(size_t section, int64_t index, nlohmann::json& record) final;
  bool strict() const final { return strict_; }

 protected:
  /// A lawful record, or one with a fault() if a rule says so.
  virtual void add(size_t section, RecordReader& record) = 0;
  /// Whether the file is read on although the record was refused, with the reader's refusal(). By default it is not.
  virtual bool leaves_out(size_t section, const RecordReader& record);

 private:
  void add_or_leave_out(size_t section);

  std::vector<RecordReader> readers_;
  const bool strict_;
};

}  // namespace iuq::io
