#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/json_cursor.h"
#include "lib/io/json_scanner.h"

namespace iuq::io {

/// Takes the records that a RecordParser finds. `section` is an index into the sections asked for.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// May read the record at the cursor itself, whole, and say true; or say false and leave it to general().
  virtual bool plain(size_t section, int64_t index, JsonCursor& cursor);
  virtual void general(size_t section, int64_t index, nlohmann::json& record) = 0;
  /// Whether NaN and Infinity, which are no JSON, are errors outside of records. In records they are the sink's to refuse.
  virtual bool strict() const { return false; }

  /// Whether what is no section that was asked for is wanted too. Then other() gets each such member, a list empty at first,
  /// and other_element() what is in the list, in file order.
  virtual bool wants_others() const { return false; }
  virtual void other(const std::string& key, nlohmann::json& value);
  virtual void other_element(const std::string& key, nlohmann::json& value);
};

/// Finds the records in a COCO-style JSON file that arrives in pieces, in memory bounded by the largest record.
///
/// The file is either an object of lists, {"images": [...], "annotations": [...]}, whose keys are the sections, or one
/// list (a results file), whose section is "". Records of the `sections` asked for go to the sink in file order; anything
/// else is checked to be JSON and skipped. A file of the other kind than the sections are of is not read to its end.
class RecordParser {
 public:
  RecordParser(const std::string& path, const std::vector<std::string>& sections, RecordSink& sink);

  /// Errors: kBadData naming file, line and column: not JSON (but NaN and Infinity pass unless the sink is strict), invalid UTF-8, nested deeper
  /// than 64; or naming the section: there twice or no list, a record that is no object.
  void feed(const std::string& piece);
  /// The file has ended. Returns the sections asked for that it does not have. Error(kBadData) if it is truncated.
  std::vector<std::string> finish();

  /// For reading pieces out of order: a parser may begin between two records of a section, where the next byte begins a record
  /// that follows another, and be asked between two records of which section it has stopped, if of any.
  void begin_within(size_t section);
  std::optional<size_t> section_within() const;
  /// The index of the next record of the section.
  int64_t next_index() const { return index_; }
  /// Another parser has read `piece`, which begins and ends between two records of the section that this one is in, and found
  /// `records` in it.
  void skip(const std::string& piece, int64_t records);

 private:
  enum class State { kStart, kKey, kAfterMember, kRecord, kAfterRecord, kDone, kIgnored };

  void run(std::string_view text, bool final);
  const char* step(const char* at, const char* end, bool final);
  const char* start(const char* at, const char* end, bool final);
  const char* member(const char* at, const char* end, bool final);
  const char* record(const char* at, const char* end, bool final);
  const char* unwanted(const char* at, const char* end, bool final);
  const char* other_member(const char* at, const char* end, bool final);
  const char* check_value(const char* at, const char* end, bool final, int depth, nlohmann::json* value = nullptr);
  void open_section(size_t section);
  size_t find_section(std::string_view name) const;
  TextPosition position_of(const char* at) const;
  TextPosition move_to(const char* at);
  [[noreturn]] void unexpected(const char* at, const char* end) const;
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void wrong_record() const;

  const std::string path_;
  const std::vector<std::string> sections_;
  RecordSink& sink_;
  std::vector<bool> seen_;
  State state_ = State::kStart;
  bool opened_ = false;   // just behind a bracket, where the closing one may follow
  bool in_object_ = false;
  size_t section_ = 0;    // sections_.size() in a list that was not asked for
  std::string other_key_;  // of that list, or of the member that is read
  int64_t index_ = 0;     // of the next record
  std::string rest_;      // the beginning of what was cut by the end of a piece
  size_t enough_ = 0;     // size of rest_ at which another try pays
  TextPosition position_;        // of what has not been consumed, or of begin_
  const char* begin_ = nullptr;  // where in the text at hand position_ is
};

}  // namespace iuq::io
