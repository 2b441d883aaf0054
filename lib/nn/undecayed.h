#pragma once

#include <string>
#include <vector>

namespace iuq::nn {

/// A module with parameters that are looked up rather than multiplied with: embeddings, position tables, biases of
/// attention by distance. Recipes keep weight decay from them as they keep it from norm layers, because a row that no
/// gradient reaches would fade away.
class Undecayed {
 public:
  virtual ~Undecayed() = default;
  /// The module's own parameters of that kind, by the names under which they are registered.
  virtual std::vector<std::string> undecayed() const = 0;
};

}  // namespace iuq::nn
