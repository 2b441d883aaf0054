#include "lib/io/record_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::io {

using nlohmann::json;

namespace {

// The first number in `value` that is NaN or infinite, and where it is: "extra[1].x"; null without one.
const json* not_finite_in(const json& value, const std::string& where, std::string& found) {
  if (value.is_number_float()) {
    found = where;
    return std::isfinite(value.get<double>()) ? nullptr : &value;
  }
  for (const auto& [key, item] : value.items()) {
    if (!item.is_structured() && !item.is_number_float()) continue;
    const std::string at = value.is_array() ? cat(where, "[", key, "]") : cat(where, where.empty() ? "" : ".", key);
    if (const json* const number = not_finite_in(item, at, found)) return number;
  }
  return nullptr;
}

}  // namespace

RecordReader::RecordReader(const std::string& path, const std::string& section, std::span<const FieldRule> rules)
    : path_(path), section_(section), rules_(rules), values_(rules.size()) {
  for (const FieldRule& rule : rules) IUQ_ASSERT(rule.key);  // null: an enumerator of the table has no line
}

void RecordReader::clear(int64_t index) {
  for (FieldValue& value : values_) value.present = false;
  index_ = index;
  record_ = nullptr;
  fault_.clear();
  refusal_.clear();
  faults_ = 0;
}

// Records of a file have their keys in one order, so the line behind the last one found is tried first.
size_t RecordReader::find(std::string_view key) {
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (next_ >= rules_.size()) next_ = 0;
    if (rules_[next_++].key == key) return next_ - 1;
  }
  return rules_.size();
}

bool RecordReader::read_plain(int64_t index, JsonCursor& cursor) {
  clear(index);
  std::string_view key;
  if (!cursor.take('{')) return false;
  do {
    if (!cursor.key(key)) return false;
    const size_t field = find(key);
    if (field == rules_.size()) {
      if (!cursor.skip_value()) return false;
      continue;
    }
    if (values_[field].present || !read_plain_field(field, cursor)) return false;
    values_[field].present = rules_[field].type != FieldType::kUnread;
  } while (cursor.take(','));
  if (!cursor.take('}')) return false;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!values_[i].present && !may_be_absent(rules_[i])) return false;
  }
  return true;
}

bool RecordReader::read_plain_field(size_t field, JsonCursor& cursor) {
  const FieldRule& rule = rules_[field];
  FieldValue& value = values_[field];
  switch (rule.type) {
    case FieldType::kInteger:
    case FieldType::kWhole: return cursor.integer(value.integer) && rule.range.has(static_cast<double>(value.integer));
    case FieldType::kNumber: return cursor.number(value.number) && rule.range.has(value.number);
    case FieldType::kBit: return cursor.integer(value.integer) && (value.integer == 0 || value.integer == 1);
    case FieldType::kFlag:
      if (!cursor.integer(value.integer)) return false;
      value.integer = value.integer != 0;
      return true;
    case FieldType::kId:
      value.text = {};
      if (cursor.peek() != '"') return cursor.integer(value.integer);
      if (!cursor.string(value.text) || value.text.empty()) return false;
      value.integer = string_id(value.text);
      return true;
    case FieldType::kText:
    case FieldType::kName: return cursor.string(value.text) && !value.text.empty();
    case FieldType::kFrequency:
      return cursor.string(value.text) && (value.text == "r" || value.text == "c" || value.text == "f");
    case FieldType::kIntegers:
    case FieldType::kWholes:
      value.integers.clear();
      return cursor.integers(value.integers);
    case FieldType::kBox:
      return cursor.numbers(value.box.data(), value.box.size()) && rule.range.has(value.box[2]) && rule.range.has(value.box[3]);
    case FieldType::kSegmentation: return read_segmentation(cursor, PolygonRule::kAll, segmentation_);
    case FieldType::kReferenceSegmentation: return read_segmentation(cursor, PolygonRule::kFirst, segmentation_);
    case FieldType::kUnread: return cursor.skip_value();
  }
  return false;
}

bool RecordReader::may_be_absent(const FieldRule& rule) const {
  if (!rule.required || rule.type == FieldType::kUnread) return true;
  if (!rule.unless) return false;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (std::string_view(rules_[i].key) == rule.unless) return has(i) && flag(i);
  }
  return false;
}

void RecordReader::begin(int64_t index, const json& record) {
  clear(index);
  record_ = &record;
}

void RecordReader::read(int64_t index, const json& record) {
  begin(index, record);
  for (size_t i = 0; i < rules_.size(); ++i) read_field(i);
}

void RecordReader::read_field(size_t field) {
  const FieldRule& rule = rules_[field];
  if (rule.type == FieldType::kUnread) return;
  const auto value = record_->find(rule.key);
  const bool absent = value == record_->end() || (value->is_null() && !rule.required);
  if (absent) {
    if (!may_be_absent(rule) && !counts_as_fault(field, nullptr)) settle(field, cat(" is missing, must be ", wanted_by(rule)));
    return;
  }
  const std::string wrong = io::read_field(*value, rule, values_[field], segmentation_);
  values_[field].present = wrong.empty();
  if (!wrong.empty()) {
    if (!counts_as_fault(field, &*value)) settle(field, wrong);
  } else if (rule.fault == Fault::kNoMask && segmentation_.thin_parts > 0) {
    faults_ |= bit_of(Fault::kThinPart);
  }
}

// Whether what is wrong, or missing where `value` is null, is a fault of the record and no error.
bool RecordReader::counts_as_fault(size_t field, const json* value) {
  const FieldRule& rule = rules_[field];
  if (rule.fault == Fault::kCount || (value && !is_faint(*value, rule, segmentation_))) return false;
  // Points in pairs and boxes of four numbers are there, but no polygons: other words lead to their cure.
  const bool thin = rule.fault == Fault::kNoMask && value && segmentation_.thin_parts > 0 && !value->front().empty();
  faults_ |= bit_of(thin ? Fault::kNoPolygon : rule.fault);
  return true;
}

// What the table says of a record that breaks this rule.
void RecordReader::settle(size_t field, const std::string& what) {
  switch (rules_[field].otherwise) {
    case Outcome::kRefuse: refuse(field, what);
    case Outcome::kRefuseIfCounted:
      if (fault_.empty()) fault_ = words_for(rules_[field].key, what);
      return;
    case Outcome::kAsAbsent: return;
  }
}

std::string RecordReader::words_for(const std::string& key, const std::string& what) const {
  std::string id;
  if (record_ && record_->contains("id")) {
    id = cat(" (id ", shown((*record_)["id"]), ")");
  } else if (!record_) {
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (std::string_view(rules_[i].key) == "id" && has(i)) id = text(i).empty() ? cat(" (id ", integer(i), ")") : cat(" (id ", text(i), ")");
    }
  }
  return cat(key.empty() ? "" : ".", key, what, id);
}

void RecordReader::refuse(size_t field, const std::string& what) { refuse_in_words(words_for(rules_[field].key, what)); }

void RecordReader::refuse(const std::string& what) { refuse_in_words(words_for("", what)); }

void RecordReader::refuse_in_words(std::string words) {
  refusal_ = std::move(words);
  throw Error(ErrorCode::kBadData, cat(field_path(path_, section_, index_), refusal_));
}

void RecordReader::refuse_nan() const {
  std::string where;
  if (const json* const number = not_finite_in(*record_, "", where)) {
    throw Error(ErrorCode::kBadData, cat(field_path(path_, section_, index_),
                                         words_for(where, cat(" is ", shown(*number), ", which is no JSON and which --strict does not let pass"))));
  }
}

RuleBatch::RuleBatch(const std::string& path, const std::vector<SectionRules>& sections, bool strict) : strict_(strict) {
  for (const SectionRules& s : sections) readers_.emplace_back(path, s.section, s.rules);
}

bool RuleBatch::plain(size_t section, int64_t index, JsonCursor& cursor) {
  if (!readers_[section].read_plain(index, cursor)) return false;
  add_or_leave_out(section);
  return true;
}

void RuleBatch::general(size_t section, int64_t index, json& record) {
  RecordReader& reader = readers_[section];
  try {
    reader.read(index, record);
    // A field that is read has words of its own, if the record turns out to count.
    if (strict_ && reader.fault().empty()) reader.refuse_nan();
  } catch (const Error&) {
    if (reader.refusal().empty() || !leaves_out(section, reader)) throw;
    return;
  }
  add_or_leave_out(section);
}

void RuleBatch::add_or_leave_out(size_t section) {
  RecordReader& reader = readers_[section];
  try {
    add(section, reader);
  } catch (const Error&) {
    if (reader.refusal().empty() || !leaves_out(section, reader)) throw;
  }
}

bool RuleBatch::leaves_out(size_t, const RecordReader&) { return false; }

}  // namespace iuq::io
