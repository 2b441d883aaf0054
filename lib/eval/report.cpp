#include "lib/eval/report.h"

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
  return {{"protocol", name_of(config.protocol)},
          {"iou_types", types},
          {"max_dets", config.max_dets},
          {"use_categories", config.use_categories}};
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
