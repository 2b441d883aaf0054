#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/mask/rle.h"

namespace iuq::eval {

/// One record of an input file: reads its fields, and says file, section, index and key when one is broken.
class Fields {
 public:
  Fields(const std::string& file, const std::string& section, int64_t index, const nlohmann::json& record)
      : file_(file), section_(section), index_(index), record_(record) {}

  const nlohmann::json* find(const char* key) const;  // null when absent
  const nlohmann::json& need(const char* key) const;
  int64_t integer(const char* key) const;  // 3 or 3.0
  double number(const char* key) const;    // finite
  bool flag(const char* key) const;        // boolean or number; any number but 0 is true
  std::vector<int64_t> integers(const char* key) const;
  mask::Box box(const char* key) const;  // four finite numbers

  [[noreturn]] void fail(const std::string& key, const std::string& what) const;  // Error(kBadData)

 private:
  const std::string& file_;
  const std::string& section_;
  int64_t index_;
  const nlohmann::json& record_;
};

/// `"dt.json": [12].score`, or `"gt.json": annotations[12].area`.
std::string place_of(const std::string& file, const std::string& section, int64_t index, const std::string& key);

}  // namespace iuq::eval
