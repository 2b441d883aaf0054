#include "lib/eval/fields.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

// A value for a message: short, one line.
std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

bool to_integer(const json& value, int64_t& out) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) return false;
  if (value.is_number_integer()) {
    out = value.get<int64_t>();
    return true;
  }
  if (!value.is_number_float()) return false;
  const double number = value.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (!(std::abs(number) <= kExact) || number != std::floor(number)) return false;
  out = static_cast<int64_t>(number);
  return true;
}

}  // namespace

std::string place_of(const std::string& file, const std::string& section, int64_t index, const std::string& key) {
  return cat("\"", file, "\": ", section, "[", index, "].", key);
}

void Fields::fail(const std::string& key, const std::string& what) const {
  throw Error(ErrorCode::kBadData, cat(place_of(file_, section_, index_, key), " ", what));
}

const json* Fields::find(const char* key) const {
  const auto it = record_.find(key);
  return it == record_.end() ? nullptr : &*it;
}

const json& Fields::need(const char* key) const {
  const json* value = find(key);
  if (!value) fail(key, "is missing");
  return *value;
}

int64_t Fields::integer(const char* key) const {
  const json& value = need(key);
  int64_t out = 0;
  if (!to_integer(value, out)) fail(key, cat("is ", shown(value), ", not an integer of 64 bits"));
  return out;
}

double Fields::number(const char* key) const {
  const json& value = need(key);
  if (!value.is_number()) fail(key, cat("is ", shown(value), ", not a number"));
  const double number = value.get<double>();
  if (!std::isfinite(number)) fail(key, "is not a finite number");
  return number;
}

bool Fields::flag(const char* key) const {
  const json& value = need(key);
  if (value.is_boolean()) return value.get<bool>();
  return number(key) != 0;
}

std::vector<int64_t> Fields::integers(const char* key) const {
  const json& value = need(key);
  if (!value.is_array()) fail(key, cat("is ", shown(value), ", not a list of integers"));
  std::vector<int64_t> out(value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!to_integer(value[i], out[i])) fail(cat(key, "[", i, "]"), cat("is ", shown(value[i]), ", not an integer"));
  }
  return out;
}

mask::Box Fields::box(const char* key) const {
  const json& value = need(key);
  mask::Box box{};
  bool ok = value.is_array() && value.size() == box.size();
  for (size_t i = 0; ok && i < box.size(); ++i) {
    ok = value[i].is_number();
    if (ok) box[i] = value[i].get<double>();
    ok = ok && std::isfinite(box[i]);
  }
  if (!ok) fail(key, cat("is ", shown(value), ", not four numbers [x, y, width, height]"));
  return box;
}

}  // namespace iuq::eval
