#include "lib/eval/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

// Names come from outside: nothing in them may steer a terminal.
std::string printable(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return name;
}

std::string category_table(const Summary& summary) {
  std::string out = "\n         id  annot.";
  char cell[64];
  if (summary.categories.empty()) return "";
  for (const Stat& stat : summary.categories[0].stats) {
    std::snprintf(cell, sizeof cell, " %6s", stat.name.c_str());
    out += cell;
  }
  out += "  name\n";
  for (const CategoryStats& category : summary.categories) {
    std::snprintf(cell, sizeof cell, "%11lld %7lld", static_cast<long long>(category.id),
                  static_cast<long long>(category.annotations));
    out += cell;
    for (const Stat& stat : category.stats) {
      std::snprintf(cell, sizeof cell, stat.value < 0 ? "      -" : " %6.3f", stat.value);
      out += cell;
    }
    out += "  " + printable(category.name) + "\n";
  }
  return out;
}

// RFC 4180: quotes around, quotes inside doubled.
std::string csv_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string csv_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

json block_of(const Summary& summary) {
  json stats = json::object(), categories = json::array();
  for (const Stat& stat : summary.stats) stats[stat.name] = stat.value;
  for (const CategoryStats& category : summary.categories) {
    json row = {{"id", category.id}, {"name", category.name}, {"annotations", category.annotations}};
    for (const Stat& stat : category.stats) row[stat.name] = stat.value;
    categories.push_back(std::move(row));
  }
  return {{"stats", std::move(stats)},
          {"per_category", std::move(categories)},
          {"ap_at_largest_cut", summary.ap_at_largest_cut}};
}

json config_of(const EvalConfig& config) {
  json types = json::array();
  for (const IouType type : config.iou_types) types.push_back(name_of(type));
  json out = {{"protocol", name_of(config.protocol)},
              {"iou_types", types},
              {"max_dets", config.max_dets},
              {"use_categories", config.use_categories}};
  // What is not the reference's default is said.
  if (config.iou_thresholds != iou_thresholds()) out["iou_thresholds"] = config.iou_thresholds;
  if (config.areas[1].high != kAreaRanges[1].high || config.areas[2].high != kAreaRanges[2].high) {
    out["area_bounds"] = {config.areas[1].high, config.areas[2].high};
  }
  if (!config.image_ids.empty()) out["image_ids"] = config.image_ids;
  if (!config.categories.empty()) out["categories"] = config.categories;
  if (std::any_of(config.iou_types.begin(), config.iou_types.end(), is_of_boundaries)) out["boundary_ratio"] = config.boundary_ratio;
  return out;
}

}  // namespace

std::string to_table(const Summary& summary, bool per_category) {
  std::string out = cat("IoU type: ", name_of(summary.type), "\n");
  for (const Stat& stat : summary.stats) {
    char value[32];
    std::snprintf(value, sizeof value, " = %0.3f\n", stat.value);
    out += stat.label + value;
  }
  return per_category ? out + category_table(summary) : out;
}

std::string to_csv(const std::vector<Summary>& summaries) {
  std::string out = "iou_type,id,name,annotations";
  for (const CategoryStats& category : summaries.at(0).categories) {
    for (const Stat& stat : category.stats) out += "," + stat.name;
    break;
  }
  out += "\n";
  for (const Summary& summary : summaries) {
    for (const CategoryStats& category : summary.categories) {
      out += cat(name_of(summary.type), ",", category.id, ",", csv_text(category.name), ",", category.annotations);
      for (const Stat& stat : category.stats) out += "," + csv_number(stat.value);
      out += "\n";
    }
  }
  return out;
}

std::string curves_to_csv(const EvalInput& input, const Curves& curves) {
  std::string out;
  const size_t cut = curves.cuts - 1;
  for (size_t k = 0; k < curves.categories; ++k) {
    const bool pooled = !input.config.use_categories;
    const std::string category = pooled ? "-1,\"all\"" : cat(input.truth.categories[k].id, ",", csv_text(input.truth.categories[k].name));
    for (size_t t = 0; t < curves.thresholds; ++t) {
      for (size_t r = 0; r < kRecalls; ++r) {
        const size_t at = curves.precision_at(t, r, k, 0, cut);
        if (curves.precision[at] < 0) continue;
        out += cat(name_of(input.type), ",", category, ",", csv_number(input.config.iou_thresholds[t]), ",",
                   csv_number(recall_thresholds()[r]), ",", csv_number(curves.precision[at]), ",",
                   curves.scores.empty() ? "" : csv_number(curves.scores[at]), "\n");
      }
    }
  }
  return out;
}

json to_json(const EvalConfig& config, const std::vector<Summary>& summaries) {
  json out = block_of(summaries.at(0));
  out["format"] = "iuq-ap";
  out["version"] = 1;
  out["config"] = config_of(config);
  if (summaries.size() > 1) {
    for (const Summary& summary : summaries) out[name_of(summary.type)] = block_of(summary);
  }
  return out;
}

io::Provenance provenance_of(const std::string& annotations, const std::string& predictions, const EvalConfig& config) {
  if (annotations == "-" || predictions == "-") {
    throw Error(ErrorCode::kUsage, "--output records digests of its inputs, so they must be files, not stdin");
  }
  io::Provenance provenance("iuq-eval", config_of(config));
  provenance.add_file("annotations", annotations);
  const json sidecar = io::read_sidecar(predictions);
  if (sidecar.is_null()) {
    provenance.add_file("predictions", predictions);
  } else {
    provenance.add_artifact("predictions", sidecar);
  }
  return provenance;
}

bool is_written(const std::string& path, const io::Provenance& wanted, bool force) {
  if (path == "-" || force || !io::exists(path)) return false;
  const json existing = io::read_json(path);
  return io::is_up_to_date(path, existing.is_object() ? existing.value("provenance", json()) : json(), wanted, force);
}

double headline_ap(const std::vector<Summary>& summaries) { return summaries.at(0).ap_at_largest_cut; }

}  // namespace iuq::eval
