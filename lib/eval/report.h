#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/eval/summary.h"
#include "lib/io/provenance.h"

namespace iuq::eval {

/// The lines users of the reference know, and with `per_category` a table below them.
std::string to_table(const Summary& summary, bool per_category);

/// One object; FORMAT.md describes it. Numbers are 0 .. 1 in full precision, -1 is undefined.
nlohmann::json to_json(const EvalConfig& config, const std::vector<Summary>& summaries);

/// The provenance of ap.json. Error(kUsage) for stdin, which cannot be named.
io::Provenance provenance_of(const std::string& annotations, const std::string& predictions, const EvalConfig& config);

/// Whether `path` is there already and has these inputs and config. Error(kCannotCreate) if it is another, unless `force`.
bool is_written(const std::string& path, const io::Provenance& wanted, bool force);

/// AP of the first IoU type, at the largest cut; what --min-ap is compared with.
double headline_ap(const std::vector<Summary>& summaries);

}  // namespace iuq::eval
