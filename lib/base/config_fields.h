#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace iuq {

/// Which values a field may have; of a list, which each of its items may have. By default any.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool has_low = true, has_high = true;  // whether the bounds themselves are allowed
  std::vector<std::string> choices;      // of a string; empty: any
  size_t count = 0;                      // items of a list; 0: any number

  static Range at_least(double from) { return closed(from, std::numeric_limits<double>::infinity()); }
  static Range above(double from) { return left_open(from, std::numeric_limits<double>::infinity()); }
  static Range closed(double from, double to) { return {from, to, true, true, {}, 0}; }       // [from, to]
  static Range left_open(double from, double to) { return {from, to, false, true, {}, 0}; }   // (from, to]
  static Range right_open(double from, double to) { return {from, to, true, false, {}, 0}; }  // [from, to)
  static Range open(double from, double to) { return {from, to, false, false, {}, 0}; }       // (from, to)
  static Range one_of(std::vector<std::string> names);
  /// The same for each item of a list of so many.
  Range items(size_t number) const;

  bool allows(double value) const;
  bool allows(const std::string& value) const;
  /// Of one value: ">= 1", "in 1..64" (`whole` numbers), "in [0, 1)", "\"a\" or \"b\""; empty when any will do.
  std::string text(bool whole) const;
};

struct ConfigField;

/// The fields of one section, in the order in which people read them.
using ConfigFields = std::vector<ConfigField>;

/// A section within a section, of whatever type. Made by inner_section().
struct InnerSection {
  std::function<void(const nlohmann::json&)> read;
  std::function<void(nlohmann::json&)> write;
  std::function<ConfigFields()> fields;
};

/// One field: its key, where its value is, and all there is to say about it. Reading, writing, ranges and documentation
/// of a section are made from the list of these, so that no field can be in one and not in another.
struct ConfigField {
  using Value = std::variant<const char*,  // a constant, such as the name that says which segmenter a section is of
                             bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                             std::vector<std::string>*, InnerSection>;
  const char* key;
  Value value;
  const char* about;  // meaning, unit, source
  Range range = {};
};

/// What people are told about a field or a section.
struct ConfigDoc {
  std::string key;
  std::string about;              // "optimiser steps"
  std::string values;             // ">= 1; default 90000"; empty for a section
  std::vector<ConfigDoc> fields;  // of a section
};

/// Reads an object strictly, as ConfigReader does; `where` is the section's name in messages. Ranges are not checked.
void read_fields(const nlohmann::json& object, const char* where, const ConfigFields& fields);
void write_fields(nlohmann::json& object, const ConfigFields& fields);
/// Error(kConfig) with field, value and range, for the first that is out of it. Inner sections check themselves.
void check_fields(const char* where, const ConfigFields& fields);
ConfigDoc describe_fields(const char* key, const ConfigFields& defaults);
/// `config` as JSON with the documentation of each field in comments above it, in the order of `docs`. load_config reads it.
std::string explain_config(const nlohmann::json& config, const std::vector<ConfigDoc>& docs);
/// Calls `read` with a section that has only the names of this one, its own and those of its inner sections: they decide
/// about the defaults of the other fields.
void read_names(const ConfigFields& fields, const std::function<void(const nlohmann::json&)>& read);

/// Calls `take` with the string "name" of an object, if there is one.
void with_name(const nlohmann::json& object, const std::function<void(const std::string&)>& take);

/// A struct that is a section of the config:
///   static constexpr const char* kSection     its name in messages, such as "train" or "input.lsj"
///   ConfigFields fields()                     the list; it points into the struct
///   void check() const                        check_ranges(*this), then what concerns several fields
///   void take_name(const std::string&)        where a name decides about the defaults of other fields; optional
/// That is all it needs to be read from JSON and written to it. Reading throws Error(kConfig) for an unknown key, a wrong type,
/// and what check() refuses; absent fields keep their value.
template <class C>
concept ConfigSection = requires(C config, const C& same) {
  { C::kSection } -> std::convertible_to<const char*>;
  { config.fields() } -> std::same_as<ConfigFields>;
  same.check();
};

/// Error(kConfig) when a field by itself is out of its range.
template <ConfigSection C>
void check_ranges(C config) {
  check_fields(C::kSection, config.fields());
}

/// Documentation of every field of a section like this one, with the defaults that the names in `config` imply.
template <class C>
ConfigDoc describe_section(const char* key, C config) {
  C defaults;
  using Json = nlohmann::adl_serializer<C>;
  read_names(config.fields(), [&defaults](const nlohmann::json& names) { Json::from_json(names, defaults); });
  return describe_fields(key, defaults.fields());
}

template <class C>
InnerSection inner_section(C& config) {
  using Json = nlohmann::adl_serializer<C>;
  return {[&config](const nlohmann::json& object) { Json::from_json(object, config); },
          [&config](nlohmann::json& object) { Json::to_json(object, config); }, [&config] { return config.fields(); }};
}

}  // namespace iuq

template <iuq::ConfigSection C>
struct nlohmann::adl_serializer<C, void> {
  static void from_json(const nlohmann::json& object, C& config) {
    if constexpr (requires { config.take_name(std::string()); }) {
      iuq::with_name(object, [&config](const std::string& name) { config.take_name(name); });
    }
    iuq::read_fields(object, C::kSection, config.fields());
    config.check();
  }
  // By value, for fields() are places to read into as well.
  static void to_json(nlohmann::json& object, C config) { iuq::write_fields(object, config.fields()); }
};
