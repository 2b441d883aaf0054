#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace iuq::info {

/// What a file is, and whether it is whole.
struct FileReport {
  std::string path;
  std::string kind;                  // "features", "negatives", "model", "weights", "results", "ap", "metrics",
                                     // "annotations" or "unknown"
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();  // counts, shapes, settings: depends on the kind
  nlohmann::json provenance;         // null when it has none
  std::string problem;               // why the file is damaged or incomplete; empty when it is whole
};

/// Recognises a file by its content and checks it: magic, schema, lengths, digests of its tables. Bulk data is read only
/// if `deep`: then every checksum of a cache is verified, every weight looked at for NaN, every annotation checked.
/// JSON is always read to its end. Never throws for a bad file; Error(kNoInput) when there is none.
FileReport inspect(const std::string& path, bool deep);

/// Several lines for people.
std::string to_text(const FileReport& report);
/// {"path", "kind", "whole", "problem", "facts", "provenance"}
nlohmann::ordered_json to_json(const FileReport& report);

}  // namespace iuq::info
