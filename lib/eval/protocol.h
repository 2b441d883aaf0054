#pragma once

#include <string>

#include "lib/eval/config.h"

namespace iuq::eval {

/// The protocol that the annotations file asks for: LVIS if its first image has neg_category_ids and
/// not_exhaustive_category_ids and its first category a frequency, else COCO. Reads no further than it takes to tell; what
/// is wrong with the file is left to those who read it. Stdin or a pipe cannot be read twice and so is taken for COCO.
Protocol protocol_of(const std::string& path);

}  // namespace iuq::eval
