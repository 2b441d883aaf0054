#include "lib/data/record.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::data {
namespace {

std::string shown(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

}  // namespace

Record::Record(const std::string& path, const std::string& section, int64_t index, const nlohmann::json& value)
    : path_(path), section_(section), index_(index), value_(value) {}

bool Record::has(const char* key) const {
  const auto it = value_.find(key);
  return it != value_.end() && !it->is_null();
}

const nlohmann::json& Record::any(const char* key) const {
  const auto it = value_.find(key);
  if (it == value_.end()) fail(cat("\"", key, "\" is missing"));
  return *it;
}

int64_t Record::integer(const char* key) const {
  const auto& value = any(key);
  const bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX;
  if (!value.is_number_integer() || too_large) wrong(key, "an integer");
  return value.get<int64_t>();
}

double Record::number(const char* key) const {
  const auto& value = any(key);
  if (!value.is_number()) wrong(key, "a number");
  return value.get<double>();
}

const std::string& Record::text(const char* key) const {
  const auto& value = any(key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) wrong(key, "a string that is not empty");
  return value.get_ref<const std::string&>();
}

void Record::wrong(const char* key, const std::string& must) const {
  fail(cat("\"", key, "\" is ", shown(any(key)), ", must be ", must));
}

void Record::fail(const std::string& what) const {
  std::string id;
  const auto it = value_.find("id");
  if (it != value_.end()) id = cat(" (id ", shown(*it), ")");
  throw Error(ErrorCode::kBadData, cat("\"", path_, "\": ", section_, "[", index_, "]", id, ": ", what));
}

}  // namespace iuq::data
