#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/eval/summary.h"
#include "lib/io/provenance.h"

namespace iuq::eval {

/// The lines users of the reference know, and with `per_category` a table below them.
std::string to_table(const Summary& summary, bool per_category);

/// The categories of all summaries as comma-separated values, a header line first: iou_type,id,name,annotations,AP,...
std::string to_csv(const std::vector<Summary>& summaries);

/// Precision over recall of every category and IoU threshold, all sizes, largest cut: lines of
/// iou_type,category_id,category,iou,recall,precision,score. Categories without annotations are left out. No header.
std::string curves_to_csv(const EvalInput& input, const Curves& curves);
inline constexpr const char* kCurvesHeader = "iou_type,category_id,category,iou,recall,precision,score\n";

/// One object; FORMAT.md describes it. Numbers are 0 .. 1 in full precision, -1 is undefined.
nlohmann::json to_json(const EvalConfig& config, const std::vector<Summary>& summaries);

/// The provenance of ap.json. Error(kUsage) for stdin, which cannot be named.
io::Provenance provenance_of(const std::string& annotations, const std::string& predictions, const EvalConfig& config);

/// Whether `path` is there already and has these inputs and config. Error(kCannotCreate) if it is another, unless `force`.
bool is_written(const std::string& path, const io::Provenance& wanted, bool force);

/// AP of the first IoU type, at the largest cut; what --min-ap is compared with.
double headline_ap(const std::vector<Summary>& summaries);

}  // namespace iuq::eval
