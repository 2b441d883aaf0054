#include "lib/info/get_values.h"

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"

namespace iuq::info {
namespace {

using nlohmann::json;

std::string parent_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

// What stands at a name.
struct Found {
  enum { kNothing, kSingle, kInner } kind = kNothing;
  std::string text;  // of a single value; of an object or list, the keys in it

  void list(const std::string& key) {
    constexpr size_t kEnough = 200;
    if (text.size() < kEnough) text += (text.empty() ? "" : ", ") + key;
    else if (!text.ends_with(" ...")) text += " ...";
  }
  std::string describe() const { return kind == kSingle ? "is a single value" : cat("has ", text.empty() ? "nothing" : text); }
};

// Hears the values of a JSON text one by one and keeps those that are wanted. No document is built: it would not keep how
// numbers were written, and be many times as large as the text.
class Finder : public json::json_sax_t {
 public:
  explicit Finder(const std::vector<std::string>& names) {
    found_[""];
    for (std::string name : names) {
      for (; !name.empty(); name = parent_of(name)) found_[name];
    }
  }

  const Found& at(const std::string& name) const { return found_.at(name); }

  bool null() override { return value("null"); }
  bool boolean(bool v) override { return value(v ? "true" : "false"); }
  bool number_integer(number_integer_t v) override { return value(v == 0 ? "-0" : std::to_string(v)); }  // those with a sign
  bool number_unsigned(number_unsigned_t v) override { return value(std::to_string(v)); }
  bool number_float(number_float_t, const string_t& text) override { return value(text); }
  bool string(string_t& text) override { return value(text); }
  bool binary(binary_t&) override { return true; }  // JSON has none
  bool start_object(size_t) override { return enter(false); }
  bool start_array(size_t) override { return enter(true); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& text) override {
    key_ = text;
    return true;
  }
  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    throw Error(ErrorCode::kBadData, error.what());
  }

 private:
  struct Level {
    std::string name;
    Found* found = nullptr;  // null when no name leads here
    bool is_list = false;
    size_t next = 0;  // position of a list's next value
  };

  std::string name_value() {
    if (levels_.empty()) return "";
    Level& level = levels_.back();
    const std::string key = level.is_list ? std::to_string(level.next++) : key_;
    if (level.found) level.found->list(key);
    return level.name.empty() ? key : level.name + "." + key;
  }
  Found* find(const std::string& name) {
    const auto it = found_.find(name);
    return it == found_.end() ? nullptr : &it->second;
  }
  bool value(const std::string& text) {
    if (Found* const found = find(name_value())) *found = {Found::kSingle, text};
    return true;
  }
  bool enter(bool is_list) {
    const std::string name = name_value();
    Found* const found = find(name);
    if (found) *found = {Found::kInner, ""};
    levels_.push_back({name, found, is_list, 0});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return true;
  }

  std::map<std::string, Found> found_;  // the wanted names and all that they lead through
  std::vector<Level> levels_;
  std::string key_;
};

void read(const std::string& path, Finder& finder) {
  const std::string text = io::read_text(path);
  if (!path.ends_with(".jsonl")) {
    json::sax_parse(text, &finder);
    return;
  }
  std::istringstream lines(text);
  finder.start_array(0);
  for (std::string line; std::getline(lines, line);) json::sax_parse(line, &finder);
}

std::string value_at(const Finder& finder, const std::string& name) {
  const Found& found = finder.at(name);
  if (found.kind == Found::kSingle) return found.text;
  if (found.kind == Found::kInner) {
    throw Error(ErrorCode::kBadData, cat("\"", name, "\" is no single value, it ", found.describe()));
  }
  std::string parent = parent_of(name);
  while (finder.at(parent).kind == Found::kNothing) parent = parent_of(parent);
  throw Error(ErrorCode::kBadData, cat("there is no \"", name, "\"; ", parent.empty() ? "the file" : cat("\"", parent, "\""), " ",
                                       finder.at(parent).describe()));
}

}  // namespace

std::vector<std::string> get_values(const std::string& path, const std::vector<std::string>& names) {
  Finder finder(names);
  std::vector<std::string> values;
  try {
    read(path, finder);
    for (const std::string& name : names) values.push_back(value_at(finder, name));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kBadData) throw;
    throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", e.what()));
  }
  return values;
}

}  // namespace iuq::info
