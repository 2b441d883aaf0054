#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace iuq {

/// Letters to insert, take away or change to make one of the other.
size_t edit_distance(const std::string& a, const std::string& b);
/// The `most` of `known` that are most like `given`, nearest first.
std::vector<std::string> nearest(const std::string& given, std::vector<std::string> known, size_t most);

}  // namespace iuq
