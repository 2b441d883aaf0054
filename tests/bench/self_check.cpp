// How well a trained model's queries and features follow flips and crops, for each place where g may act:
// lib/uniq/METHOD.md 4.3.
// usage: self_check MODEL ANNOTATIONS IMAGES [LIMIT]
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/data/annotations.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "tests/support/self_check.h"
#include "lib/view/sample.h"

namespace {

using namespace iuq;

constexpr int64_t kGrid = 32;  // what a crop moves by

int run(const char* model_path, const char* annotations, const char* images, int64_t limit) {
  const model::Checkpoint checkpoint = model::load_checkpoint(model_path);
  const data::Dataset dataset = data::Dataset::load(annotations);
  model::Segmenter& segmenter = *checkpoint.segmenter;
  std::printf("%-6s %-14s %9s %7s %7s %7s\n", "g", "equi_at", "instances", "plain", "fresh", "moved");
  for (const char* kind : {"flip", "crop"}) {
    for (const char* at : {"backbone", "neck", "mask_features"}) {
      uniq::AgreementSum sum;
      const auto count = std::min<int64_t>(limit, static_cast<int64_t>(dataset.images().size()));
      for (int64_t i = 0; i < count; ++i) {
        const view::Sample scene =
            view::load_sample(dataset, i, images, checkpoint.input, checkpoint.input.short_side.back(), false);
        const view::Size canvas{scene.image.size(1), scene.image.size(2)};
        const auto g = kind[0] == 'f' ? view::ViewTransform::flip_x(canvas, segmenter.alignment())
                                      : view::ViewTransform::crop(canvas, kGrid, kGrid, 1.0);
        sum.add(segmenter, scene.image, scene.truth, g, at);
      }
      const uniq::Agreement mean = sum.mean();
      std::printf("%-6s %-14s %9lld %7.3f %7.3f %7.3f\n", kind, at, static_cast<long long>(mean.instances), mean.plain,
                  mean.fresh, mean.moved);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: self_check MODEL ANNOTATIONS IMAGES [LIMIT]\n");
    return 64;
  }
  try {
    return run(argv[1], argv[2], argv[3], argc > 4 ? std::stoll(argv[4]) : 50);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "self_check: error: %s\n", e.what());
    return 1;
  }
}
