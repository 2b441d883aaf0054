#pragma once

#include "lib/mask/rle.h"

namespace iuq::mask {

/// An Rle of that size with no runs yet. Error(kBadData) if a side is negative or the pixels exceed 32 bits.
Rle empty_of(int64_t height, int64_t width);

}  // namespace iuq::mask
