#pragma once

#include <cstdint>
#include <string>

namespace iuq {

/// One of n equal parts of a list: the items whose index % count == index. Written "i/n", zero-based.
struct Shard {
  int64_t index = 0;
  int64_t count = 1;

  static Shard parse(const std::string& text);  // Error(kUsage) unless "i/n" with 0 <= i < n
  bool owns(int64_t item) const { return item % count == index; }
  bool is_whole() const { return count == 1; }
  std::string name() const;  // "shard-003-of-016"
};

}  // namespace iuq
