#include "lib/weights/unwrap.h"

#include <algorithm>
#include <map>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/weights/naming.h"

namespace iuq::weights {
namespace {

constexpr const char* kAveraged = "ema_";  // mmcv's EMAHook: buffers beside the parameters, with _ for each dot
constexpr int kMostWrappers = 6;

using Names = std::vector<std::string>;

// Modules that are never a model's own, wherever they stand: torch.compile, FSDP, activation checkpointing.
std::string without_markers(const std::string& name) {
  std::string text = "." + name;
  for (const std::string marker : {"._orig_mod.", "._fsdp_wrapped_module.", "._checkpoint_wrapped_module."}) {
    for (size_t at = text.find(marker); at != std::string::npos; at = text.find(marker)) text.erase(at, marker.size() - 1);
  }
  return text.substr(1);
}

std::string first_part(const std::string& name) {
  const size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot + 1);
}

// The first part that all names share, with its dot; "" without one.
std::string shared_part(const Names& names) {
  const std::string part = names.empty() ? "" : first_part(names.front());
  const bool all = !part.empty() && std::all_of(names.begin(), names.end(), [&](const auto& name) { return name.starts_with(part); });
  return all ? part : "";
}

// The spelling of the names that is known best: as they are, or without what is around them.
Names best_spelling(const Names& names, const std::string& family) {
  Names spelling = names, best = names;
  Fit known = best_fit(names, family);
  const auto consider = [&] {
    const Fit fit = best_fit(spelling, family);
    if (fit.used <= known.used) return;
    known = fit;
    best = spelling;
  };
  for (std::string& name : spelling) name = without_markers(name);
  consider();
  for (int n = 0; n < kMostWrappers; ++n) {
    const size_t size = shared_part(spelling).size();
    if (size == 0) break;
    for (std::string& name : spelling) name.erase(0, size);
    consider();
  }
  return best;
}

// "backbone_conv1_weight" -> "backbone.conv1.weight", of the names that have dots.
std::map<std::string, std::string> by_flat_name(const Names& names) {
  std::map<std::string, std::string> dotted;
  for (const std::string& name : names) {
    std::string flat = name;
    std::replace(flat.begin(), flat.end(), '.', '_');
    dotted[flat] = name;
  }
  return dotted;
}

// What --prefix could choose: the first parts of names below which everything is known.
Names known_groups(const Names& names, const std::string& family) {
  std::map<std::string, Names> groups;
  for (const std::string& name : names) {
    const std::string part = first_part(name);
    if (!part.empty()) groups[part].push_back(name.substr(part.size()));
  }
  Names found;
  for (const auto& [part, below] : groups) {
    const Fit fit = best_fit(best_spelling(below, family), family);
    if (groups.size() > 1 && fit.used > 4 && fit.unknown == 0) found.push_back(part.substr(0, part.size() - 1));
  }
  return found;
}

}  // namespace

Unwrapped unwrap(const io::TensorFile& file, const std::string& family, const std::string& prefix, const std::string& where) {
  Names all;
  for (const auto& [name, tensor] : file.tensors) all.push_back(name);
  const auto dotted = by_flat_name(all);
  const auto averaged = [&](const std::string& name) {
    const bool is = name.starts_with(kAveraged) && name.find('.') == std::string::npos;
    const auto it = is ? dotted.find(name.substr(std::string(kAveraged).size())) : dotted.end();
    return it == dotted.end() ? std::string() : it->second;
  };
  const std::string below = prefix.empty() || prefix == kAveraged || prefix.ends_with('.') ? prefix : prefix + ".";
  Unwrapped result;
  result.file.metadata = file.metadata;
  Names names;
  bool has_averaged = false;
  for (const auto& [name, tensor] : file.tensors) {
    const std::string original = averaged(name);
    has_averaged = has_averaged || !original.empty();
    const bool wanted = prefix == kAveraged ? !original.empty() : original.empty() && name.starts_with(below);
    if (!wanted) {
      result.left_out.push_back(name);
      continue;
    }
    names.push_back(prefix == kAveraged ? original : name.substr(below.size()));
    result.sources.push_back(name);
    result.file.tensors.emplace_back("", tensor);
  }
  result.copies = known_groups(all, family);
  if (has_averaged && prefix != kAveraged) result.copies.push_back(kAveraged);
  if (names.empty() && !prefix.empty()) {
    throw Error(ErrorCode::kUsage, cat(where, ": no name begins with \"", below, "\"",
                                       result.copies.empty() ? cat("; its first is \"", all.empty() ? "" : all[0], "\"")
                                                             : cat("; --prefix can be ", listed(result.copies))));
  }
  const Names best = best_spelling(names, family);
  for (size_t i = 0; i < best.size(); ++i) result.file.tensors[i].first = best[i];
  return result;
}

}  // namespace iuq::weights
