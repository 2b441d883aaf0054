#include "lib/base/error.h"

namespace iuq {

void assert_failed(const char* expression, const char* file, int line) {
  throw Error(ErrorCode::kInternal, cat("internal error: ", expression, " is false at ", file, ":", line,
                                        "; please report this with the command that led here"));
}

}  // namespace iuq
