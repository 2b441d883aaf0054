#pragma once

#include <string>
#include <vector>

namespace iuq::info {

/// The values that `names` name in a JSON file, in their order: numbers as the file writes them, strings without quotes and
/// escapes, true, false or null. A name is keys and positions in lists (from 0) with dots between: "per_category.0.AP";
/// in a file *.jsonl the line comes first (from 0): "0.loss". Of a key that an object has twice, the last counts. The file is
/// read to its end; "-" is stdin.
/// Errors: kNoInput; kBadData naming file and name when it is no JSON, when it has no such value, or when it has an object or
/// a list there, whose keys are listed.
std::vector<std::string> get_values(const std::string& path, const std::vector<std::string>& names);

}  // namespace iuq::info
