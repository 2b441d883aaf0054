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
  if (value.is_number_float() && !std::isfinite(value.get<double>())) return false;
  if (bit ? !value.is_number_integer() || (value != 0 && value != 1) : !value.is_number()) return false;
  out.integer = value.get<double>() != 0;
  return true;
}

bool read_id(const json& value, FieldValue& out) {
  out.text = {};
  if (!value.is_string()) return to_integer(value, true, out.integer);
  out.text = value.get_ref<const std::string&>();
  out.integer = string_id(out.text);
  return !out.text.empty();
}

bool read_text(const json& value, FieldType type, FieldValue& out) {
  if (type == FieldType::kName && value.is_number()) {
    out.digits = value.dump();
    out.text = out.digits;
    return true;
  }
  if (!value.is_string()) return false;
  out.text = value.get_ref<const std::string&>();
  return type == FieldType::kFrequency ? out.text == "r" || out.text == "c" || out.text == "f" : !out.text.empty();
}

bool read_box(const json& value, const FieldRule& rule, FieldValue& out) {
  if (!value.is_array() || value.size() != out.box.size()) return false;
  for (size_t i = 0; i < out.box.size(); ++i) {
    if (!value[i].is_number()) return false;
    out.box[i] = value[i].get<double>();
    if (!std::isfinite(out.box[i])) return false;
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
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    const double number = value.get<double>();
    return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
  }
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
    case FieldType::kId: return "an integer of 64 bits or a string that is not empty";
    case FieldType::kNumber: return with_range("a number", rule.range, false);
    case FieldType::kBit: return "0 or 1";
    case FieldType::kFlag: return "true, false or a number";
    case FieldType::kText: return "a string that is not empty";
    case FieldType::kName: return "a string that is not empty or a number";
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
    case FieldType::kId: ok = read_id(value, out); break;
    case FieldType::kNumber:
      ok = value.is_number() && std::isfinite(value.get<double>()) && rule.range.has(value.get<double>());
      if (ok) out.number = value.get<double>();
      break;
    case FieldType::kBit: ok = read_flag(value, true, out); break;
    case FieldType::kFlag: ok = read_flag(value, false, out); break;
    case FieldType::kText:
    case FieldType::kName:
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

bool is_faint(const json& value, const FieldRule& rule, const Segmentation& segmentation) {
  if (value.is_null() || (!value.is_number() && !value.is_boolean() && value.empty())) return true;
  switch (rule.type) {
    case FieldType::kWhole:
      return value.is_number() && value.get<double>() < rule.range.low && value.get<double>() == std::floor(value.get<double>());
    case FieldType::kNumber: return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() < rule.range.low;
    case FieldType::kBox: {
      FieldValue box;
      const FieldRule any{rule.key, rule.type, rule.required};
      return read_box(value, any, box) && (box.box[2] < rule.range.low || box.box[3] < rule.range.low);
    }
    case FieldType::kSegmentation:
    case FieldType::kReferenceSegmentation: return segmentation.nothing || value == "";
    default: return false;
  }
}

// FNV-1a, cut to the 18 digits that every reader of JSON takes at full speed.
int64_t string_id(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return -1 - static_cast<int64_t>(hash % 1000000000000000000u);
}

std::string field_path(const std::string& file, const std::string& section, int64_t index, const std::string& key) {
  return cat("\"", file, "\": ", section, "[", index, "]", key.empty() ? "" : ".", key);
}

}  // namespace iuq::io
