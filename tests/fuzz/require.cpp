#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/fuzz.h"

namespace iuq::fuzz {

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "property does not hold: %s\n", what);
  std::abort();
}

}  // namespace iuq::fuzz
