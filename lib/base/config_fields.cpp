#include "lib/base/config_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <type_traits>

#include "lib/base/config.h"
#include "lib/base/error.h"

namespace iuq {
namespace {

using nlohmann::json;

constexpr size_t kCommentWidth = 100;  // columns of a comment, without its indent

template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::true_type {};

template <class T>
constexpr bool is_whole(const T&) { return std::is_same_v<T, int64_t>; }
template <class T>
constexpr bool is_whole(const std::vector<T>&) { return std::is_same_v<T, int64_t>; }

bool allowed(const Range& range, const std::string& value) { return range.allows(value); }
template <class T>
bool allowed(const Range& range, const T& value) {
  if constexpr (std::is_arithmetic_v<T>) return range.allows(static_cast<double>(value));
  else return true;
}

// Of a list the item that is wrong is shown, not all of it.
template <class T>
void check_value(const std::string& where, const Range& range, const T& value) {
  if constexpr (IsList<T>::value) {
    check_config(range.count == 0 || value.size() == range.count, where, value, cat("a list of ", range.count));
    for (const auto& item : value) check_config(allowed(range, item), where, item, range.text(is_whole(value)));
  } else {
    check_config(allowed(range, value), where, value, range.text(is_whole(value)));
  }
}

// Calls `then` with the value of the field, unless it is a constant or a section.
template <class Then>
void with_value(const ConfigField& field, const Then& then) {
  std::visit(
      [&then](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_pointer_v<T> && !std::is_same_v<T, const char*>) then(*value);
      },
      field.value);
}

json value_of(const ConfigField& field) {
  json out;
  std::visit(
      [&out](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, InnerSection>) value.write(out);
        else if constexpr (std::is_same_v<T, const char*>) out = value;
        else out = *value;
      },
      field.value);
  return out;
}

std::string range_text(const ConfigField& field) {
  std::string item;
  with_value(field, [&](const auto& value) { item = field.range.text(is_whole(value)); });
  if (field.range.count == 0) return item;
  return cat(field.range.count, " values", item.empty() ? "" : ", each ", item);
}

// On one line, with spaces after commas.
std::string compact(const json& value) {
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const json& item : value) text += (text.empty() ? "" : ", ") + compact(item);
  return "[" + text + "]";
}

// Lines of at most kCommentWidth, if words allow.
void append_comment(std::string& out, const std::string& text, const std::string& indent) {
  std::istringstream words(text);
  std::string line, word;
  while (words >> word) {
    if (!line.empty() && line.size() + 1 + word.size() > kCommentWidth) {
      out += indent + "// " + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) out += indent + "// " + line + "\n";
}

void append_doc(std::string& out, const ConfigDoc& doc, const std::string& indent) {
  const std::string values = doc.values.empty() ? "" : "(" + doc.values + ")";
  const bool fits = doc.about.size() + 1 + values.size() <= kCommentWidth;
  append_comment(out, fits ? doc.about + " " + values : doc.about, indent);
  if (!fits) append_comment(out, values, indent);
}

void append_object(std::string& out, const json& object, const std::vector<ConfigDoc>& docs, const std::string& indent) {
  const std::string inner = indent + "  ";
  IUQ_ASSERT(object.size() == docs.size());  // both come from the same list
  out += "{";
  const char* separator = "\n";
  for (const ConfigDoc& doc : docs) {
    const json& value = object.at(doc.key);
    out += separator;
    separator = ",\n";
    append_doc(out, doc, inner);
    out += inner + json(doc.key).dump() + ": ";
    if (value.is_object()) append_object(out, value, doc.fields, inner);
    else out += compact(value);
  }
  out += "\n" + indent + "}";
}

// Of an object the member "name", and the same of the objects in it.
json names_of(const json& object) {
  json names = json::object();
  for (const auto& [key, value] : object.items()) {
    if (key == "name") names[key] = value;
    else if (value.is_object()) names[key] = names_of(value);
  }
  return names;
}

}  // namespace

Range Range::one_of(std::vector<std::string> names) {
  Range range;
  range.choices = std::move(names);
  return range;
}

Range Range::items(size_t number) const {
  Range range = *this;
  range.count = number;
  return range;
}

bool Range::allows(double value) const {
  return (has_low ? value >= low : value > low) && (has_high ? value <= high : value < high);
}

bool Range::allows(const std::string& value) const {
  return choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end();
}

std::string Range::text(bool whole) const {
  if (!choices.empty()) {
    std::string text;
    for (size_t i = 0; i < choices.size(); ++i) {
      text += cat(i == 0 ? "" : i + 1 < choices.size() ? ", " : " or ", "\"", choices[i], "\"");
    }
    return text;
  }
  const auto number = [whole](double value) { return whole ? cat(static_cast<int64_t>(value)) : cat(value); };
  const double infinity = std::numeric_limits<double>::infinity();
  if (low > -infinity && high < infinity) {
    if (whole && has_low && has_high) return cat("in ", number(low), "..", number(high));
    return cat("in ", has_low ? "[" : "(", number(low), ", ", number(high), has_high ? "]" : ")");
  }
  if (low > -infinity) return cat(has_low ? ">= " : "> ", number(low));
  if (high < infinity) return cat(has_high ? "<= " : "< ", number(high));
  return "";
}

void read_fields(const json& object, const char* where, const ConfigFields& fields) {
  ConfigReader read(object, where);
  for (const ConfigField& field : fields) {
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, InnerSection>) {
            value.read(read.section(field.key));
          } else if constexpr (std::is_same_v<T, const char*>) {
            std::string name = value;
            read(field.key, name);
            check_config(name == value, cat(where, ".", field.key), name, cat("\"", value, "\""));
          } else {
            read(field.key, *value);
          }
        },
        field.value);
  }
  read.done();
}

void with_name(const json& object, const std::function<void(const std::string&)>& take) {
  const auto name = object.find("name");
  if (name != object.end() && name->is_string()) take(name->get<std::string>());
}

void write_fields(json& object, const ConfigFields& fields) {
  object = json::object();
  for (const ConfigField& field : fields) object[field.key] = value_of(field);
}

void check_fields(const char* where, const ConfigFields& fields) {
  for (const ConfigField& field : fields) {
    with_value(field, [&](const auto& value) { check_value(cat(where, ".", field.key), field.range, value); });
  }
}

void read_names(const ConfigFields& fields, const std::function<void(const json&)>& read) {
  json object;
  write_fields(object, fields);
  read(names_of(object));
}

ConfigDoc describe_fields(const char* key, const ConfigFields& defaults) {
  ConfigDoc section{key, "", "", {}};
  for (const ConfigField& field : defaults) {
    if (const auto* inner = std::get_if<InnerSection>(&field.value)) {
      ConfigDoc doc = describe_fields(field.key, inner->fields());
      doc.about = field.about;
      section.fields.push_back(std::move(doc));
      continue;
    }
    const std::string range = range_text(field);
    const std::string standard =
        std::holds_alternative<const char*>(field.value) ? "" : "default " + compact(value_of(field));
    const char* separator = range.empty() || standard.empty() ? "" : "; ";
    section.fields.push_back({field.key, field.about, range + separator + standard, {}});
  }
  return section;
}

std::string explain_config(const json& config, const std::vector<ConfigDoc>& docs) {
  std::string out;
  append_object(out, config, docs, "");
  return out + "\n";
}

}  // namespace iuq
