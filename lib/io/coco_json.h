#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace iuq::io {

/// Called with one record of a list: its section, its index in the list, and the record, which may be moved from.
using RecordVisitor = std::function<void(const std::string& section, int64_t index, nlohmann::json& record)>;

/// Reads a large COCO-style JSON file record by record, in bounded memory ("-" is stdin).
///
/// The file is either an object of lists, {"images": [...], "annotations": [...]}, whose keys are the sections, or one
/// list (a results file), whose section is "". Records of the `sections` asked for are visited in file order; anything
/// else is checked to be JSON and skipped. Integers stay exact (uint64 or int64), other numbers are doubles.
///
/// Returns the sections asked for that the file does not have, in the order asked.
/// Errors: kNoInput, kIo, kBadData naming file, line and column: not JSON (NaN and Infinity are not), truncated,
/// invalid UTF-8, nested deeper than 64; or naming the section: there twice or no list, a record that is no
/// object.
std::vector<std::string> stream_json_records(const std::string& path, const std::vector<std::string>& sections,
                                             const RecordVisitor& visit);

}  // namespace iuq::io
