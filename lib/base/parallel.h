#pragma once

#include <cstddef>
#include <functional>

namespace iuq {

/// body(begin, end) over [0, count) in pieces of `grain`, handed out in order to `threads` threads. If bodies throw, the
/// exception of the first piece in order is rethrown, whatever the number of threads. Returns when all threads are done.
void parallel_for(size_t count, size_t grain, int threads, const std::function<void(size_t, size_t)>& body);

/// The cores that this process may use (its affinity mask), at least 1.
int usable_threads();

}  // namespace iuq
