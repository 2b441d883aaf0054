#include "lib/io/json_file.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"

namespace iuq::io {

nlohmann::json read_json(const std::string& path) {
  const std::string text = read_text(path);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadData, cat("\"", path, "\" is not valid JSON: ", e.what()));
  }
}

void write_json(const std::string& path, const nlohmann::json& value, int indent) {
  write_text(path, value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace iuq::io
