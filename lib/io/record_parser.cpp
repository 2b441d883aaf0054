#include "lib/io/record_parser.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

using nlohmann::json;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Builds the json value of a record.
class Builder final : public JsonEvents {
 public:
  explicit Builder(json& root) : root_(root) {}

  void null() override { put(nullptr); }
  void boolean(bool value) override { put(value); }
  void integer(int64_t value) override { put(value); }
  void unsigned_integer(uint64_t value) override { put(value); }
  void number(double value) override { put(value); }
  void string(std::string& value) override { put(std::move(value)); }
  void key(std::string& name) override { slot_ = &(*open_.back())[name]; }
  void start_object() override { open_.push_back(put(json::object())); }
  void start_array() override { open_.push_back(put(json::array())); }
  void end_object() override { open_.pop_back(); }
  void end_array() override { open_.pop_back(); }

 private:
  json* put(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  json& root_;
  std::vector<json*> open_;
  json* slot_ = nullptr;  // where the value of the last key goes
};

/// For text that is only checked to be JSON.
class Ignore final : public JsonEvents {
  void null() override {}
  void boolean(bool) override {}
  void integer(int64_t) override {}
  void unsigned_integer(uint64_t) override {}
  void number(double) override {}
  void string(std::string&) override {}
  void key(std::string&) override {}
  void start_object() override {}
  void end_object() override {}
  void start_array() override {}
  void end_array() override {}
};

const char* end_of_string(const char* at, const char* end) {
  for (++at; at != end; ++at) {
    if (*at == '"') return at + 1;
    if (*at == '\\' && ++at == end) break;
  }
  return nullptr;
}

// Behind the value that begins at `at`, whatever it holds; null when the text ends before it does.
const char* end_of_value(const char* at, const char* end) {
  if (*at == '"') return end_of_string(at, end);
  if (*at != '{' && *at != '[') {
    const char* const found = std::find_if(at + 1, end, [](char c) { return is_space(c) || c == ',' || c == ']' || c == '}'; });
    return found == end ? nullptr : found;
  }
  for (int64_t depth = 0; at != end;) {
    const char c = *at;
    if (c == '"') {
      at = end_of_string(at, end);
      if (!at) return nullptr;
      continue;
    }
    ++at;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return at;
  }
  return nullptr;
}

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

}  // namespace

bool RecordSink::plain(size_t, int64_t, JsonCursor&) { return false; }
void RecordSink::other(const std::string&, json&) {}
void RecordSink::other_element(const std::string&, json&) {}

RecordParser::RecordParser(const std::string& path, const std::vector<std::string>& sections, RecordSink& sink)
    : path_(path), sections_(sections), sink_(sink), seen_(sections.size(), false) {}

void RecordParser::feed(const std::string& piece) {
  if (rest_.empty()) {
    run(piece, false);
    return;
  }
  // What was cut is tried again only when it has doubled, so that a hostile file costs no quadratic time.
  rest_ += piece;
  if (rest_.size() < enough_) return;
  const std::string text = std::move(rest_);
  rest_.clear();
  run(text, false);
}

std::vector<std::string> RecordParser::finish() {
  const std::string text = std::move(rest_);
  rest_.clear();
  run(text, true);
  if (state_ != State::kDone && state_ != State::kIgnored) {
    begin_ = nullptr;
    unexpected(nullptr, nullptr);
  }
  std::vector<std::string> missing;
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (!seen_[i]) missing.push_back(sections_[i]);
  }
  return missing;
}

void RecordParser::begin_within(size_t section) {
  open_section(section);
  opened_ = false;
  in_object_ = !sections_[section].empty();
}

std::optional<size_t> RecordParser::section_within() const {
  const bool within = state_ == State::kRecord && !opened_ && section_ < sections_.size() && rest_.empty();
  return within ? std::optional(section_) : std::nullopt;
}

void RecordParser::skip(const std::string& piece, int64_t records) {
  position_ = position_.after(piece);
  index_ += records;
}

// Consumes what it can; the beginning of what is cut stays in rest_.
void RecordParser::run(std::string_view text, bool final) {
  begin_ = text.data();
  const char* at = begin_;
  const char* const end = at + text.size();
  for (;;) {
    while (at != end && is_space(*at)) ++at;
    if (at == end) break;
    const char* const next = step(at, end, final);
    if (!next) break;
    at = next;
  }
  position_ = position_of(at);
  rest_.assign(at, end);
  enough_ = 2 * rest_.size();
}

// One step of the grammar. Null when the text ends within it; the state is then as before.
const char* RecordParser::step(const char* at, const char* end, bool final) {
  const char c = *at;
  switch (state_) {
    case State::kStart: return start(at, end, final);
    case State::kKey:
      if (c == '"') return member(at, end, final);
      if (c != '}' || !opened_) unexpected(at, end);
      state_ = State::kDone;
      return at + 1;
    case State::kAfterMember:
      if (c != ',' && c != '}') unexpected(at, end);
      state_ = c == ',' ? State::kKey : State::kDone;
      opened_ = false;
      return at + 1;
    case State::kRecord:
      if (c == ']' && opened_) break;
      if (section_ == sections_.size()) return unwanted(at, end, final);
      if (c == '{') return record(at, end, final);
      if (c == '[' || c == '"' || c == '-' || (c >= '0' && c <= '9')) wrong_record();
      if (c == 't' || c == 'f' || c == 'n') wrong_record();
      unexpected(at, end);
    case State::kAfterRecord:
      if (c != ',' && c != ']') unexpected(at, end);
      opened_ = false;
      if (c == ']') break;
      state_ = State::kRecord;
      return at + 1;
    case State::kDone: unexpected(at, end);
    case State::kIgnored: return end;
  }
  state_ = in_object_ ? State::kAfterMember : State::kDone;  // a list has ended
  return at + 1;
}

const char* RecordParser::start(const char* at, const char* end, bool final) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";  // byte order mark
  const TextPosition position = position_of(at);
  if (position.line == 1 && position.column == 1 && *at == kMark[0]) {
    const std::string_view head = between(at, end).substr(0, kMark.size());
    if (head == kMark) return at + kMark.size();
    if (!final && kMark.substr(0, head.size()) == head) return nullptr;
  }
  if (position.line == 1 && position.column == 1 && (*at == '\xff' || *at == '\xfe')) {
    json_fail(path_, position, "the text looks like UTF-16, as PowerShell's > writes it; save it as UTF-8");
  }
  const bool is_list = *at == '[', wants_list = find_section("") < sections_.size();
  if (!is_list && *at != '{') unexpected(at, at + 1);
  if (is_list != wants_list && !(wants_list && sections_.size() > 1)) {
    state_ = State::kIgnored;
  } else if (is_list) {
    open_section(find_section(""));
  } else {
    in_object_ = opened_ = true;
    state_ = State::kKey;
  }
  return at + 1;
}

const char* RecordParser::member(const char* at, const char* end, bool final) {
  const char* const key_end = end_of_string(at, end);
  const auto skip_space = [&](const char* from) { return std::find_if_not(from, end, is_space); };
  const char* const colon = key_end ? skip_space(key_end) : end;
  const char* const first = colon != end ? skip_space(colon + 1) : end;
  if (first == end) return final ? check_value(at, key_end ? key_end : end, final, 1), nullptr : nullptr;
  json key;
  Builder builder(key);
  JsonScanner(path_, between(at, key_end), position_of(at), 1).scan(builder);
  if (*colon != ':') json_unexpected(path_, position_of(colon), static_cast<unsigned char>(*colon), "':'");
  const size_t section = find_section(key.get<std::string>());
  if (section == sections_.size()) {
    other_key_ = key.get<std::string>();
    return other_member(first, end, final);
  }
  const std::string& name = sections_[section];
  if (seen_[section]) fail(cat("has the section \"", name, "\" twice"));
  if (*first != '[') fail(cat("has a section \"", name, "\" that is not a list",
                               *first == '{' ? " but an object; write its values as a list, [{...}, {...}, ...]" : ""));
  open_section(section);
  return first + 1;
}

const char* RecordParser::other_member(const char* at, const char* end, bool final) {
  const bool wanted = sink_.wants_others();
  json value = json::array();
  if (*at == '[') {
    if (wanted) sink_.other(other_key_, value);
    open_section(sections_.size());  // it may be long, so it too is read value by value
    return at + 1;
  }
  const char* const next = check_value(at, end, final, 1, wanted ? &value : nullptr);
  if (!next) return nullptr;
  if (wanted) sink_.other(other_key_, value);
  state_ = State::kAfterMember;
  return next;
}

const char* RecordParser::record(const char* at, const char* end, bool final) {
  JsonCursor cursor(at, end);
  const char* next = nullptr;
  if (sink_.plain(section_, index_, cursor)) {
    next = cursor.at();
  } else {
    next = end_of_value(at, end);
    if (!next && !final) return nullptr;
    if (!next) next = end;
    json value;
    Builder builder(value);
    JsonScanner(path_, between(at, next), move_to(at), in_object_ ? 2 : 1).scan(builder);
    sink_.general(section_, index_, value);
  }
  ++index_;
  state_ = State::kAfterRecord;
  return next;
}

const char* RecordParser::unwanted(const char* at, const char* end, bool final) {
  const bool wanted = sink_.wants_others();
  json value;
  const char* const next = check_value(at, end, final, 2, wanted ? &value : nullptr);
  if (!next) return nullptr;
  if (wanted) sink_.other_element(other_key_, value);
  state_ = State::kAfterRecord;
  return next;
}

// Into `value`, where there is one.
const char* RecordParser::check_value(const char* at, const char* end, bool final, int depth, json* value) {
  const char* next = end_of_value(at, end);
  if (!next && !final) return nullptr;
  if (!next) next = end;
  JsonScanner scanner(path_, between(at, next), move_to(at), depth);
  Ignore ignore;
  if (!value) {
    if (sink_.strict()) scanner.refuse_nan();
    return scanner.scan(ignore), next;
  }
  Builder builder(*value);
  scanner.scan(builder);
  return next;
}

void RecordParser::open_section(size_t section) {
  if (section < sections_.size()) seen_[section] = true;
  section_ = section;
  index_ = 0;
  opened_ = true;
  state_ = State::kRecord;
}

size_t RecordParser::find_section(std::string_view name) const {
  return static_cast<size_t>(std::find(sections_.begin(), sections_.end(), name) - sections_.begin());
}

TextPosition RecordParser::position_of(const char* at) const { return position_.after(between(begin_, at)); }

// Counts lines up to here once: from the beginning for each record would take time in the square of a piece.
TextPosition RecordParser::move_to(const char* at) {
  position_ = position_of(at);
  begin_ = at;
  return position_;
}

void RecordParser::unexpected(const char* at, const char* end) const {
  const char* wanted = "a value";
  if (state_ == State::kKey) wanted = "a key in quotes";
  if (state_ == State::kAfterMember) wanted = "',' or '}'";
  if (state_ == State::kAfterRecord) wanted = "',' or ']'";
  if (state_ == State::kDone) wanted = "the end of the file";
  json_unexpected(path_, position_of(at), at == end ? -1 : static_cast<unsigned char>(*at), wanted);
}

void RecordParser::fail(const std::string& what) const {
  throw Error(ErrorCode::kBadData, cat("\"", path_, "\" ", what));
}

void RecordParser::wrong_record() const {
  const std::string& section = sections_[section_];
  fail(section.empty() ? cat("record ", index_, " is not an object")
                       : cat("section \"", section, "\", record ", index_, " is not an object"));
}

}  // namespace iuq::io
