#include "lib/io/record_rules.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/segmentation.h"

namespace iuq::io {
namespace {

using nlohmann::json;

std::string with_range(const char* what, const Range& range, bool whole) {
  const auto end = [whole](double value) { return whole ? cat(static_cast<int64_t>(value)) : cat(value); };
  const bool has_low = std::isfinite(range.low), has_high = std::isfinite(range.high);
  if (has_low && has_high) return cat(what, " of ", end(range.low), " to ", end(range.high));
  if (has_low) return cat(what, " >= ", end(range.low));
  if (has_high) return cat(what, " <= ", end(range.high));
  return whole ? cat(what, " of 64 bits") : what;
}

bool read_whole(const json& value, const FieldRule& rule, bool or_float, FieldValue& out) {
  return to_integer(value, or_float, out.integer) && rule.range.has(static_cast<double>(out.integer));
}

bool read_flag(const json& value, bool bit, FieldValue& out) {
  if (value.is_boolean()) {
    out.integer = value.get<bool>();
    return true;
  }
  if (bit ? !value.is_number_integer() || (value != 0 && value != 1) : !value.is_number()) return false;
  out.integer = value.get<double>() != 0;
  return true;
}

bool read_text(const json& value, FieldType type, FieldValue& out) {
  if (!value.is_string()) return false;
  out.text = value.get_ref<const std::string&>();
  return type == FieldType::kFrequency ? out.text == "r" || out.text == "c" || out.text == "f" : !out.text.empty();
}

bool read_box(const json& value, const FieldRule& rule, FieldValue& out) {
  if (!value.is_array() || value.size() != out.box.size()) return false;
  for (size_t i = 0; i < out.box.size(); ++i) {
    if (!value[i].is_number()) return false;
    out.box[i] = value[i].get<double>();
  }
  return rule.range.has(out.box[2]) && rule.range.has(out.box[3]);
}

// What is wrong with a list of integers, as read_field() says it.
std::string read_integers(const json& value, const FieldRule& rule, bool or_float, FieldValue& out) {
  out.integers.clear();
  if (!value.is_array()) return cat(" is ", shown(value), ", must be ", wanted_by(rule));
  for (size_t i = 0; i < value.size(); ++i) {
    int64_t number = 0;
    if (!to_integer(value[i], or_float, number)) return cat("[", i, "] is ", shown(value[i]), ", must be an integer of 64 bits");
    out.integers.push_back(number);
  }
  return "";
}

}  // namespace

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

bool to_integer(const json& value, bool or_float, int64_t& out) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) return false;
  if (value.is_number_integer()) {
    out = value.get<int64_t>();
    return true;
  }
  if (!or_float || !value.is_number_float()) return false;
  const double number = value.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (!(std::abs(number) <= kExact) || number != std::floor(number)) return false;
  out = static_cast<int64_t>(number);
  return true;
}

std::string wanted_by(const FieldRule& rule) {
  switch (rule.type) {
    case FieldType::kInteger:
    case FieldType::kWhole: return with_range("an integer", rule.range, true);
    case FieldType::kNumber: return with_range("a number", rule.range, false);
    case FieldType::kBit: return "0 or 1";
    case FieldType::kFlag: return "true, false or a number";
    case FieldType::kText: return "a string that is not empty";
    case FieldType::kFrequency: return "\"r\", \"c\" or \"f\"";
    case FieldType::kIntegers:
    case FieldType::kWholes: return "a list of integers";
    case FieldType::kBox:
      return cat("four numbers [x, y, width, height]", rule.range.low == 0 ? " with width and height >= 0" : "");
    case FieldType::kSegmentation:
    case FieldType::kReferenceSegmentation: return "a list of polygons or an RLE object";
    case FieldType::kUnread: return "anything";
  }
  return "";
}

std::string read_field(const json& value, const FieldRule& rule, FieldValue& out, Segmentation& segmentation) {
  bool ok = false;
  switch (rule.type) {
    case FieldType::kInteger: ok = read_whole(value, rule, false, out); break;
    case FieldType::kWhole: ok = read_whole(value, rule, true, out); break;
    case FieldType::kNumber:
      ok = value.is_number() && rule.range.has(value.get<double>());
      if (ok) out.number = value.get<double>();
      break;
    case FieldType::kBit: ok = read_flag(value, true, out); break;
    case FieldType::kFlag: ok = read_flag(value, false, out); break;
    case FieldType::kText:
    case FieldType::kFrequency: ok = read_text(value, rule.type, out); break;
    case FieldType::kIntegers: return read_integers(value, rule, false, out);
    case FieldType::kWholes: return read_integers(value, rule, true, out);
    case FieldType::kBox: ok = read_box(value, rule, out); break;
    case FieldType::kSegmentation: return read_segmentation(value, PolygonRule::kAll, segmentation);
    case FieldType::kReferenceSegmentation: return read_segmentation(value, PolygonRule::kFirst, segmentation);
    case FieldType::kUnread: return "";
  }
  return ok ? "" : cat(" is ", shown(value), ", must be ", wanted_by(rule));
}

std::string field_path(const std::string& file, const std::string& section, int64_t index, const std::string& key) {
  return cat("\"", file, "\": ", section, "[", index, "]", key.empty() ? "" : ".", key);
}

}  // namespace iuq::io
