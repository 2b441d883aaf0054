#pragma once

#include <cstdint>
#include <vector>

#include "lib/model/batch.h"

namespace iuq::uniq {

/// For each of the `instances` of an image of the batch the row of its best-scoring query, the first of equal ones; -1
/// without a query.
std::vector<int64_t> best_queries(const model::Queries& queries, int64_t image, int64_t instances);

}  // namespace iuq::uniq
