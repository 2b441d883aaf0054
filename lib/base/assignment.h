#pragma once

#include <cstdint>
#include <vector>

namespace iuq {

/// Minimum-cost assignment of rows to different columns by shortest augmenting paths (Jonker and Volgenant 1987, in the
/// rectangular form of Crouse 2016), O(n^2 m) for n <= m. `cost` is [rows, columns], row-major. As many pairs as the
/// smaller side has are made, of the least total. Returns for each row its column, or -1 where columns ran out.
/// Of several best assignments it is always the same one that is returned; equal costs throughout pair 0-0, 1-1, ...
/// Error(kBadData) naming row and column of a cost that is not finite or of a magnitude above 1e100.
std::vector<int64_t> assign_rows(const double* cost, int64_t rows, int64_t columns);

}  // namespace iuq
