#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace iuq::io {

class RecordSink;

/// Called with one record of a list: its section, its index in the list, and the record, which may be moved from.
using RecordVisitor = std::function<void(const std::string& section, int64_t index, nlohmann::json& record)>;

/// Reads a large COCO-style JSON file record by record, in bounded memory ("-" is stdin, gzip is unpacked).
///
/// Sections, order and errors are those of RecordParser; integers stay exact (uint64 or int64), other numbers are doubles.
/// Returns the sections asked for that the file does not have, in the order asked. Errors: kNoInput, kIo, kBadData.
std::vector<std::string> stream_json_records(const std::string& path, const std::vector<std::string>& sections,
                                             const RecordVisitor& visit);

/// The same with a sink, which may read plain records faster.
std::vector<std::string> read_records(const std::string& path, const std::vector<std::string>& sections, RecordSink& sink);

}  // namespace iuq::io
