#include "lib/nn/stochastic.h"

#include <torch/nn/module.h>

#include "lib/base/rng.h"

namespace iuq::nn {

void seed_modules_(torch::nn::Module& root, uint64_t seed) {
  for (const auto& item : root.named_modules()) {
    if (auto* module = dynamic_cast<Stochastic*>(item.value().get())) {
      module->seed_(Rng(seed, "module " + item.key()).next());
    }
  }
}

}  // namespace iuq::nn
