#pragma once

#include <string>
#include <vector>

#include "lib/weights/pattern.h"

namespace iuq::weights {

/// What the weights of a family of files expect of the image, if the family alone decides it.
enum class Preprocessing { kUnknown, kRgb, kCaffeBgr };

/// One way to name parameters. Adding a segmenter means a table in rules.h and a line in naming.cpp.
struct Naming {
  std::string name;      // "mmdet"
  std::string family;    // what --from and --to call it; a family may have several spellings
  std::string describe;  // for --help and messages
  std::vector<Rule> rules;         // the first that fits counts, in both directions
  std::vector<std::string> drops;  // patterns of their names that carry nothing we need
  Preprocessing preprocessing = Preprocessing::kUnknown;
  std::vector<std::string> scalars = {};  // patterns of their names without axes where ours have one of length 1
};

/// All of them, in the order in which they are tried.
const std::vector<Naming>& namings();
/// Families by name, for --from and --to: "detectron2", "torchvision", "microsoft", "timm", "hf", "mmdet", "solo".
std::vector<std::string> families();

/// One line of a map. An empty target: dropped.
struct Renamed {
  std::string source, target;
  const Rule* rule = nullptr;  // that gave the target, of namings(); what the tensor needs beside the name
};

/// How the names of a file become ours ("backbone.bottom_up.res2.0.conv1.weight").
struct NameMap {
  const Naming* naming = nullptr;
  std::vector<Renamed> lines;  // in the order of the source names; one for each, three for one that is cut
};

/// How well names fit the naming of `family` ("auto": any) that knows the most of them.
struct Fit {
  size_t used = 0;     // names that have a place
  size_t unknown = 0;  // names without one that are not known to carry nothing
};
Fit best_fit(const std::vector<std::string>& names, const std::string& family);

/// `family`: one of families(), "iuq" (detectron2's spelling) or "auto".
/// Error(kBadData), opening with `where`, if a name has no rule in the best naming, or two names become one.
/// Error(kUsage) for an unknown family.
NameMap map_names(const std::vector<std::string>& names, const std::string& family, const std::string& where);

/// The reverse: our names in the spelling of `family`; names it has no place for (the heads, in torchvision) are
/// dropped. Error(kUsage) for an unknown family; Error(kBadData) if nothing is left.
NameMap map_names_back(const std::vector<std::string>& names, const std::string& family, const std::string& where);

}  // namespace iuq::weights
