#pragma once

#include <cstdint>

namespace torch::nn {
class Module;
}

namespace iuq::nn {

/// A module whose forward draws random numbers in training mode, from a stream of its own that seed_ sets.
class Stochastic {
 public:
  virtual ~Stochastic() = default;
  virtual void seed_(uint64_t seed) = 0;
};

/// Seeds every Stochastic module below `root` by its name, and `root` itself. Before each step, with a seed made of the
/// run's seed and the step, it makes what a step draws independent of all steps before, so that a resumed run draws the same.
void seed_modules_(torch::nn::Module& root, uint64_t seed);

}  // namespace iuq::nn
