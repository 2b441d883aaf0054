#pragma once

#include "lib/base/rng.h"
#include "tests/unit/eval/scene.h"

namespace iuq::test {

/// Images 1 .. `images` of 100 x 100 with annotations of categories 1 .. `categories` (each has some), crowds among them,
/// and results near them and elsewhere, of the right category and of others. Boxes are whole pixels; scores differ.
inline void fill_randomly(uint64_t seed, Scene& scene, int64_t images = 6, int64_t categories = 3) {
  Rng rng(seed, "eval-random-scene");
  const auto box = [&rng] {
    const auto corner = [&rng] { return double(rng.below(50)); };
    const auto side = [&rng] { return double(4 + rng.below(40)); };
    return mask::Box{corner(), corner(), side(), side()};
  };
  for (int64_t k = 2; k <= categories; ++k) scene.gt["categories"].push_back({{"id", k}, {"name", "category"}});
  for (int64_t image = 1; image <= images; ++image) {
    scene.add_image(image);
    for (int64_t i = rng.below(6) + (image == 1 ? categories : 0); i-- > 0;) {
      const mask::Box truth = box();
      const int64_t category = 1 + i % categories;
      scene.add_truth(image, truth, i > categories && rng.below(4) == 0, category);
      for (int64_t j = rng.below(4); j-- > 0;) {
        mask::Box found = truth;
        for (double& v : found) v += double(rng.below(6));
        scene.add_result(image, found, rng.uniform(), rng.below(4) == 0 ? 1 + rng.below(categories) : category);
      }
    }
    for (int64_t j = rng.below(3); j-- > 0;) scene.add_result(image, box(), rng.uniform(), 1 + rng.below(categories));
  }
}

}  // namespace iuq::test
