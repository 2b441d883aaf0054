#include <algorithm>
#include <map>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/weights/naming.h"

namespace iuq::weights {
namespace {

void check_family(const std::string& family, bool with_auto) {
  const auto known = families();
  if (family == "iuq" || (with_auto && family == "auto")) return;
  if (std::find(known.begin(), known.end(), family) != known.end()) return;
  throw Error(ErrorCode::kUsage, cat("no naming \"", family, "\"; use ", with_auto ? "auto, " : "", "iuq, ", listed(known)));
}

// Gives `line` its target; false if no rule fits.
bool to_ours(const Naming& naming, const std::string& name, Renamed& line) {
  for (const Rule& rule : naming.rules) {
    if (!rewrite(rule.theirs, rule.ours, name, line.target)) continue;
    line.rule = &rule;
    return true;
  }
  return false;
}

// The lines of one of our names: one, or three where theirs are parts of ours. Dropped if no rule fits.
std::vector<Renamed> to_theirs(const Naming& naming, const std::string& name) {
  std::vector<Renamed> lines;
  for (const Rule& rule : naming.rules) {
    // The first rule decides, and the first of each part.
    const bool whole = rule.change != Change::kThird;
    if (!lines.empty() && (whole || rule.part != static_cast<int>(lines.size()))) continue;
    Renamed line{name, "", &rule};
    if (!rewrite(rule.ours, rule.theirs, name, line.target)) continue;
    lines.push_back(line);
    if (whole || lines.size() == 3) return lines;
  }
  IUQ_ASSERT(lines.empty());
  return {{name, ""}};
}

bool is_dropped(const Naming& naming, const std::string& name) {
  return std::any_of(naming.drops.begin(), naming.drops.end(), [&](const std::string& pattern) {
    Captures captures;
    return match(pattern, name, captures);
  });
}

struct Attempt {
  NameMap map;
  size_t used = 0;
  std::vector<std::string> unknown;
};

Attempt attempt(const Naming& naming, const std::vector<std::string>& names) {
  Attempt result;
  result.map.naming = &naming;
  for (const std::string& name : names) {
    Renamed line{name, ""};
    // Drops come first: "bn1.num_batches_tracked" fits the rule of bn1 as well.
    if (!is_dropped(naming, name)) {
      if (to_ours(naming, name, line)) ++result.used;
      else result.unknown.push_back(name);
    }
    result.map.lines.push_back(line);
  }
  return result;
}

Attempt best_attempt(const std::vector<std::string>& names, const std::string& family) {
  const std::string wanted = family == "iuq" ? "detectron2" : family;
  Attempt best;
  for (const Naming& naming : namings()) {
    if (wanted != "auto" && naming.family != wanted) continue;
    Attempt one = attempt(naming, names);
    if (one.used > best.used) best = std::move(one);
  }
  return best;
}

void check_unique(const NameMap& map, const std::string& where) {
  std::map<std::pair<std::string, int>, std::string> sources;
  for (const Renamed& line : map.lines) {
    if (line.target.empty()) continue;
    const auto [it, is_new] = sources.emplace(std::pair(line.target, line.rule->part), line.source);
    if (!is_new) {
      throw Error(ErrorCode::kBadData,
                  cat(where, ": \"", it->second, "\" and \"", line.source, "\" are both \"", line.target, "\""));
    }
  }
}

}  // namespace

std::vector<std::string> families() {
  std::vector<std::string> result;
  for (const Naming& naming : namings()) {
    if (std::find(result.begin(), result.end(), naming.family) == result.end()) result.push_back(naming.family);
  }
  return result;
}

Fit best_fit(const std::vector<std::string>& names, const std::string& family) {
  check_family(family, true);
  const Attempt best = best_attempt(names, family);
  return {best.used, best.unknown.size()};
}

NameMap map_names(const std::vector<std::string>& names, const std::string& family, const std::string& where) {
  check_family(family, true);
  const Attempt best = best_attempt(names, family);
  if (best.used == 0) {
    throw Error(ErrorCode::kBadData, cat(where, ": none of its ", names.size(), " names (\"", names.empty() ? "" : names[0],
                                         "\", ...) belongs to a naming that is known: ", listed(families())));
  }
  if (!best.unknown.empty()) {
    const size_t shown = std::min<size_t>(best.unknown.size(), 5);
    std::string list;
    for (size_t i = 0; i < shown; ++i) list += cat(i ? ", \"" : "\"", best.unknown[i], "\"");
    throw Error(ErrorCode::kBadData, cat(where, ": named as by ", best.map.naming->describe, ", but ", best.unknown.size(),
                                         " of ", names.size(), " names have no place: ", list,
                                         shown < best.unknown.size() ? ", ..." : "",
                                         "; iuq knows ResNet, Swin, FPN and the heads of its segmenters"));
  }
  check_unique(best.map, where);
  return best.map;
}

NameMap map_names_back(const std::vector<std::string>& names, const std::string& family, const std::string& where) {
  check_family(family, false);
  NameMap map;
  size_t most = 0;
  for (const Naming& naming : namings()) {
    if (naming.family != (family == "iuq" ? "detectron2" : family)) continue;
    NameMap one{&naming, {}};
    size_t used = 0;
    for (const std::string& name : names) {
      const std::vector<Renamed> lines = to_theirs(naming, name);
      used += lines[0].target.empty() ? 0 : 1;
      one.lines.insert(one.lines.end(), lines.begin(), lines.end());
    }
    if (map.naming && used <= most) continue;
    map = std::move(one);
    most = used;
  }
  if (most == 0) {
    throw Error(ErrorCode::kBadData, cat(where, ": holds nothing that ", map.naming->describe, " have a place for"));
  }
  check_unique(map, where);
  return map;
}

}  // namespace iuq::weights
