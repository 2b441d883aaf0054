#include "lib/base/shard.h"

#include <cstdio>

#include "lib/base/error.h"

namespace iuq {

Shard Shard::parse(const std::string& text) {
  long long index = 0;
  long long count = 0;
  int end = 0;
  const bool ok = std::sscanf(text.c_str(), "%lld/%lld%n", &index, &count, &end) == 2 &&
                  end == static_cast<int>(text.size()) && count >= 1 && index >= 0 && index < count && count <= 1000000;
  if (!ok) throw Error(ErrorCode::kUsage, cat("--shard \"", text, "\" is not i/n with 0 <= i < n, for example 0/4"));
  return {index, count};
}

std::string Shard::name() const {
  char text[64];
  std::snprintf(text, sizeof text, "shard-%03lld-of-%03lld", static_cast<long long>(index),
                static_cast<long long>(count));
  return text;
}

}  // namespace iuq
