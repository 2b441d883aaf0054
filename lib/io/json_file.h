#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace iuq::io {

/// Parses a small JSON file as a whole; "-" is stdin. Errors: kNoInput, kBadData with line and column.
nlohmann::json read_json(const std::string& path);
/// Writes JSON atomically ("-" is stdout), indented by `indent` (-1: one line), with a final newline.
void write_json(const std::string& path, const nlohmann::json& value, int indent = 1);

}  // namespace iuq::io
