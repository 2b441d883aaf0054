#include "lib/base/nearest.h"

#include <algorithm>
#include <numeric>

namespace iuq {

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::vector<std::string> nearest(const std::string& given, std::vector<std::string> known, size_t most) {
  std::stable_sort(known.begin(), known.end(),
                   [&](const auto& a, const auto& b) { return edit_distance(given, a) < edit_distance(given, b); });
  known.resize(std::min(most, known.size()));
  return known;
}

}  // namespace iuq
