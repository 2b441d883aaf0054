#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lib/info/checkup.h"

namespace iuq::info {

/// What a clean copy has in another way than its file, as its provenance keeps it: for each kind of fault the count and every
/// case, and the annotations that went with the images that cannot be used.
nlohmann::json changes_of(const Checkup& checkup);

/// Writes the annotation file of `checkup` without its faults, atomically: what training leaves out is left out, with images that cannot
/// be used and annotations that are there twice; what it mends is mended (lib/data/FORMAT.md). All else stays: other keys, the
/// order of records, string ids. An RLE that is alone in a list comes out of it. Keys of a record come out in the order of the
/// alphabet; NaN and Infinity, which are no JSON, as null.
/// The file is read once more, record by record. Errors: as of check_up(); kCannotCreate; kNoInput when none of the images is there,
/// kIo when one is there and cannot be opened; kBadData when no image, or of annotations none, would be left, and when the file
/// has changed. Nothing is written then. Logs how much of the file is in the copy.
void write_clean_copy(const Checkup& checkup, const std::string& path);

/// The same with provenance beside it (`path`.provenance.json), whose config is changes_of(). Left alone when it is there and up to
/// date. Error(kCannotCreate) when another file is there, unless `force`.
void fix(const Checkup& checkup, const std::string& path, bool force);

}  // namespace iuq::info
