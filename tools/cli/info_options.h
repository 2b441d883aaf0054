#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/cli/tool.h"

namespace iuq::cli {

/// The flags of iuq-info.
struct InfoOptions {
  std::vector<std::string> files, names;
  bool check = false, deep = false, force = false;
  std::string images, fix;
  int64_t min_pixels = 16, detections = 100;

  void add_to(Tool& tool);
  /// Error(kUsage) for what does not fit together.
  void verify(const Tool& tool) const;
  /// Whether annotations are checked up, with their images.
  bool checks_up() const { return !images.empty() || !fix.empty(); }
};

}  // namespace iuq::cli
