#include "lib/base/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/nearest.h"

namespace iuq {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kConfig, message); }

// How far a known name is from the one given: letters to change, or one when whole words are missing at its end.
size_t distance(const std::string& given, const std::string& known) {
  return known.starts_with(given + "_") ? 1 : edit_distance(given, known);
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
      return distance(key, a) < distance(key, b);
    });
    std::string message = cat("config: unknown key \"", where_, ".", key, "\"");
    if (near != known_.end() && distance(key, *near) <= key.size() / 3) {
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

namespace {

json read_config_file(const std::string& path) {
  if (path.empty()) return json::object();
  std::ifstream file(path);
  if (std::filesystem::is_directory(path)) {
    throw Error(ErrorCode::kNoInput, cat("config \"", path, "\" is a folder"));
  }
  if (!file) throw Error(ErrorCode::kNoInput, cat("cannot open config \"", path, "\""));
  json config;
  try {
    config = json::parse(file, /*cb=*/nullptr, /*allow_exceptions=*/true, /*ignore_comments=*/true);
  } catch (const json::exception& e) {
    fail(cat("config \"", path, "\" is not JSON: ", e.what()));
  }
  if (!config.is_object()) fail(cat("config \"", path, "\" is not a JSON object"));
  return config;
}

bool has_other_name(const json& section, const json& name) {
  const auto own = section.find("name");
  return own != section.end() && !name.is_null() && *own != name;
}

// Takes all but the sections in it.
void clear_fields(json& section) {
  json kept = json::object();
  for (const auto& [key, value] : section.items()) {
    if (value.is_object()) kept[key] = value;
  }
  section = std::move(kept);
}

// `file` is what the target was before all variants. That it counts as well lets "condinst+mini" start afresh after "condinst".
void apply_patch(json& target, const json& patch, const json& file) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  const json name = patch.value("name", json());
  if (has_other_name(target, name) || has_other_name(file, name)) clear_fields(target);
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) target.erase(key);
    else apply_patch(target[key], value, file.is_object() ? file.value(key, json()) : json());
  }
}

void apply_variants(json& config, const json& patches, const std::vector<std::string>& variants, const std::string& path) {
  const json file = config;
  for (const std::string& name : variants) {
    if (!patches.contains(name)) {
      std::vector<std::string> known;
      for (const auto& [key, value] : patches.items()) known.push_back(key);
      fail(cat("config \"", path, "\" has no variant \"", name, "\"; it has: ", known.empty() ? "none" : listed(known)));
    }
    apply_patch(config, patches[name], file);
  }
  // "a+b" is what a and b need only when they come together.
  for (const std::string& first : variants) {
    for (const std::string& second : variants) {
      const auto both = patches.find(first + "+" + second);
      if (both != patches.end()) apply_patch(config, *both, file);
    }
  }
}

struct Setting {
  std::string text;
  std::string pointer;  // "/train/steps"
  json value;
};

Setting parse_setting(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorCode::kUsage, cat("--set \"", text, "\" is not section.key=value"));
  }
  Setting setting{text, "/" + text.substr(0, equals), json()};
  std::replace(setting.pointer.begin(), setting.pointer.end(), '.', '/');
  const std::string value = text.substr(equals + 1);
  setting.value = json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (setting.value.is_discarded()) setting.value = value;  // --set train.optimizer=sgd needs no quotes
  return setting;
}

void apply_setting(json& config, const Setting& setting) {
  try {
    const json::json_pointer at(setting.pointer), section = at.parent_pointer();
    if (setting.value.is_null()) {  // as in a variant
      json patch;
      patch[at] = nullptr;
      config.merge_patch(patch);
      return;
    }
    const bool renames = at.back() == "name" && config.contains(section) && has_other_name(config[section], setting.value);
    if (renames) clear_fields(config[section]);
    config[at] = setting.value;
  } catch (const json::exception& e) {
    throw Error(ErrorCode::kUsage, cat("--set \"", setting.text, "\" goes through what is no section: ", e.what()));
  }
}

}  // namespace

json load_config(const std::string& path, const std::vector<std::string>& variants,
                 const std::vector<std::string>& settings) {
  json config = read_config_file(path);
  json patches = json::object();
  if (config.contains("variants")) {
    patches = config["variants"];
    config.erase("variants");
    if (!patches.is_object()) fail(cat("config \"", path, "\": \"variants\" must be an object of objects"));
  }
  apply_variants(config, patches, variants, path);
  std::vector<Setting> parsed;
  for (const std::string& setting : settings) parsed.push_back(parse_setting(setting));
  // A name takes away what was set before it.
  std::stable_partition(parsed.begin(), parsed.end(), [](const Setting& s) { return s.pointer.ends_with("/name"); });
  for (const Setting& setting : parsed) apply_setting(config, setting);
  return config;
}

}  // namespace iuq
