#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace iuq::data {

/// Reads the fields of one JSON record strictly. Every error is Error(kBadData) like
///   "x.json": annotations[5] (id 12): "area" is "big", must be a number >= 0
class Record {
 public:
  Record(const std::string& path, const std::string& section, int64_t index, const nlohmann::json& value);

  bool has(const char* key) const;  // present and not null
  int64_t integer(const char* key) const;
  double number(const char* key) const;  // finite, since JSON has no other
  const std::string& text(const char* key) const;
  const nlohmann::json& any(const char* key) const;
  [[noreturn]] void wrong(const char* key, const std::string& must) const;
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const std::string& path_;
  const std::string& section_;
  int64_t index_;
  const nlohmann::json& value_;
};

}  // namespace iuq::data
