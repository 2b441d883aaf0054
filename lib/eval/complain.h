#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/eval/config.h"
#include "lib/eval/ground_truth.h"

namespace iuq::eval {

/// Says that something in the files cannot be meant: a warning, or Error(kBadData) when the evaluation is strict.
inline void complain(const EvalConfig& config, const std::string& what) {
  if (config.strict) throw Error(ErrorCode::kBadData, what);
  log::warning(what);
}

/// Masks of a file, and those of them that are not of their image's size and so can never match.
struct MaskSizes {
  size_t masks = 0, other = 0, transposed = 0;  // transposed: of `other`, height and width exchanged

  /// A mask of an image without a size counts, but can be of no other.
  void add(int64_t height, int64_t width, const Image& image) {
    ++masks;
    if (!image.has_size() || (height == image.height && width == image.width)) return;
    ++other;
    transposed += height == image.width && width == image.height;
  }
  void add(const MaskSizes& more) {
    masks += more.masks;
    other += more.other;
    transposed += more.transposed;
  }
  /// Complains when there are any. `of_what`: what such a mask would have to match.
  void report(const EvalConfig& config, const std::string& path, const char* of_what) const {
    if (other == 0) return;
    const std::string exchanged =
        transposed > 0 ? cat(", ", transposed, " of them height and width exchanged (\"size\" is [height, width])") : "";
    complain(config, cat("\"", path, "\": ", other, " of ", masks, " masks have another size than their image", exchanged,
                         "; they can never match ", of_what, " of the image's size"));
  }
};

}  // namespace iuq::eval
