#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace iuq {

/// Reads one JSON object strictly: every key must be asked for, every value must have the type of its field, and a
/// field that is absent keeps its default. All errors are Error(kConfig) naming the place, such as "train.steps".
///
///   ConfigReader read(json, "train");
///   read("steps", config.steps);
///   read("lr", config.lr);
///   read.done();                       // throws if a key was not asked for, and names the near ones
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& object, std::string where);

  void operator()(const char* key, bool& field);
  void operator()(const char* key, int64_t& field);
  void operator()(const char* key, uint64_t& field);
  void operator()(const char* key, double& field);
  void operator()(const char* key, std::string& field);
  void operator()(const char* key, std::vector<int64_t>& field);
  void operator()(const char* key, std::vector<double>& field);
  void operator()(const char* key, std::vector<std::string>& field);
  /// The nested object under `key`, or an empty object.
  const nlohmann::json& section(const char* key);
  void done() const;

 private:
  const nlohmann::json* find(const char* key);
  [[noreturn]] void wrong(const char* key, const nlohmann::json& value, const char* wanted) const;

  const nlohmann::json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

/// "a, b, c", for messages that say what there is.
std::string listed(const std::vector<std::string>& names);

/// Throws Error(kConfig) "where: value is V, must be MUST" unless ok.
void check_config(bool ok, const std::string& field, const nlohmann::json& value, const std::string& must);

/// The whole config file with `variants` applied and `settings` ("train.steps=100") on top; "input.lsj=null" takes a key away.
/// A config file is one JSON object with a section per area, with // comments where one likes. Its key "variants" holds
/// named patches of the rest; one named "a+b" is applied after all others when both a and b were asked for. They are JSON merge
/// patches (RFC 7396) but for this: one that says another "name" of a section than the file, or than the patches before it,
/// replaces the section, and what it does not say has the defaults of that name. Only a section inside ("model.backbone")
/// stays, and is patched by the same rule. Settings come on top, names first, and a name that changes has the same effect.
/// An empty path is an empty config. Errors: kNoInput, kUsage (a setting), kConfig (with line and column).
nlohmann::json load_config(const std::string& path, const std::vector<std::string>& variants,
                           const std::vector<std::string>& settings);

}  // namespace iuq
