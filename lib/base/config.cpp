#include "lib/base/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lib/base/error.h"

namespace iuq {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kConfig, message); }

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

template <class T>
void read_list(const json& value, std::vector<T>& field) {
  std::vector<T> list;
  for (const json& item : value) list.push_back(item.get<T>());
  field = std::move(list);
}

bool all(const json& value, bool (*is)(const json&)) {
  return value.is_array() && std::all_of(value.begin(), value.end(), is);
}

}  // namespace

ConfigReader::ConfigReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) fail(cat("config: \"", where_, "\" is ", shown(object_), ", must be an object"));
}

const json* ConfigReader::find(const char* key) {
  known_.emplace_back(key);
  const auto it = object_.find(key);
  return it == object_.end() ? nullptr : &*it;
}

void ConfigReader::wrong(const char* key, const json& value, const char* wanted) const {
  fail(cat("config: \"", where_, ".", key, "\" is ", shown(value), ", must be ", wanted));
}

void ConfigReader::operator()(const char* key, bool& field) {
  const json* value = find(key);
  if (!value) return;
  if (!value->is_boolean()) wrong(key, *value, "true or false");
  field = value->get<bool>();
}

void ConfigReader::operator()(const char* key, int64_t& field) {
  const json* value = find(key);
  if (!value) return;
  if (!value->is_number_integer()) wrong(key, *value, "an integer");
  field = value->get<int64_t>();
}

void ConfigReader::operator()(const char* key, uint64_t& field) {
  const json* value = find(key);
  if (!value) return;
  if (!value->is_number_unsigned()) wrong(key, *value, "an integer >= 0");
  field = value->get<uint64_t>();
}

void ConfigReader::operator()(const char* key, double& field) {
  const json* value = find(key);
  if (!value) return;
  if (!value->is_number()) wrong(key, *value, "a number");
  field = value->get<double>();
}

void ConfigReader::operator()(const char* key, std::string& field) {
  const json* value = find(key);
  if (!value) return;
  if (!value->is_string()) wrong(key, *value, "a string");
  field = value->get<std::string>();
}

void ConfigReader::operator()(const char* key, std::vector<int64_t>& field) {
  const json* value = find(key);
  if (!value) return;
  if (!all(*value, [](const json& v) { return v.is_number_integer(); })) wrong(key, *value, "a list of integers");
  read_list(*value, field);
}

void ConfigReader::operator()(const char* key, std::vector<double>& field) {
  const json* value = find(key);
  if (!value) return;
  if (!all(*value, [](const json& v) { return v.is_number(); })) wrong(key, *value, "a list of numbers");
  read_list(*value, field);
}

void ConfigReader::operator()(const char* key, std::vector<std::string>& field) {
  const json* value = find(key);
  if (!value) return;
  if (!all(*value, [](const json& v) { return v.is_string(); })) wrong(key, *value, "a list of strings");
  read_list(*value, field);
}

const json& ConfigReader::section(const char* key) {
  static const json empty = json::object();
  const json* value = find(key);
  if (!value) return empty;
  if (!value->is_object()) wrong(key, *value, "an object");
  return *value;
}

void ConfigReader::done() const {
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const auto near = std::min_element(known_.begin(), known_.end(), [&key = key](const auto& a, const auto& b) {
      return edit_distance(key, a) < edit_distance(key, b);
    });
    std::string message = cat("config: unknown key \"", where_, ".", key, "\"");
    if (near != known_.end() && edit_distance(key, *near) <= key.size() / 3) {
      message += cat("; did you mean \"", *near, "\"?");
    } else {
      message += cat("; known are ", listed(known_), "; null in a variant or --set takes a key away");
    }
    fail(message);
  }
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_config(bool ok, const std::string& field, const json& value, const std::string& must) {
  if (!ok) fail(cat("config: \"", field, "\" is ", shown(value), ", must be ", must));
}

json load_config(const std::string& path, const std::vector<std::string>& variants,
                 const std::vector<std::string>& settings) {
  json config = json::object();
  if (!path.empty()) {
    std::ifstream file(path);
    if (std::filesystem::is_directory(path)) {
      throw Error(ErrorCode::kNoInput, cat("config \"", path, "\" is a folder"));
    }
    if (!file) throw Error(ErrorCode::kNoInput, cat("cannot open config \"", path, "\""));
    try {
      config = json::parse(file);
    } catch (const json::exception& e) {
      fail(cat("config \"", path, "\" is not JSON: ", e.what()));
    }
    if (!config.is_object()) fail(cat("config \"", path, "\" is not a JSON object"));
  }
  json patches = json::object();
  if (config.contains("variants")) {
    patches = config["variants"];
    config.erase("variants");
    if (!patches.is_object()) fail(cat("config \"", path, "\": \"variants\" must be an object of objects"));
  }
  for (const std::string& name : variants) {
    if (!patches.contains(name)) {
      std::vector<std::string> known;
      for (const auto& [key, value] : patches.items()) known.push_back(key);
      fail(cat("config \"", path, "\" has no variant \"", name, "\"; it has: ", known.empty() ? "none" : listed(known)));
    }
    config.merge_patch(patches[name]);
  }
  // "a+b" is what a and b need only when they come together.
  for (const std::string& first : variants) {
    for (const std::string& second : variants) {
      const auto both = patches.find(first + "+" + second);
      if (both != patches.end()) config.merge_patch(*both);
    }
  }
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::kUsage, cat("--set \"", setting, "\" is not section.key=value"));
    }
    std::string pointer = "/" + setting.substr(0, equals);
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    const std::string text = setting.substr(equals + 1);
    json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = text;  // --set train.optimizer=sgd needs no quotes
    try {
      if (value.is_null()) {  // as in a variant
        json patch;
        patch[json::json_pointer(pointer)] = nullptr;
        config.merge_patch(patch);
      } else {
        config[json::json_pointer(pointer)] = value;
      }
    } catch (const json::exception& e) {
      throw Error(ErrorCode::kUsage, cat("--set \"", setting, "\" goes through what is no section: ", e.what()));
    }
  }
  return config;
}

}  // namespace iuq
