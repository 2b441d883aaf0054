#include "lib/train/mined.h"

#include "lib/data/annotations.h"
#include "lib/uniq/negatives.h"

namespace iuq::train {

std::vector<std::pair<float, float>> hard_pixels(const uniq::Negatives& negatives, int64_t instance_id,
                                                 const view::ViewTransform& to_view) {
  std::vector<std::pair<float, float>> pixels;
  for (const uniq::HardPixel& pixel : negatives.within_instance(instance_id)) {
    pixels.emplace_back(static_cast<float>(to_view.x.scale * static_cast<double>(pixel.x) + to_view.x.offset),
                        static_cast<float>(to_view.y.scale * static_cast<double>(pixel.y) + to_view.y.offset));
  }
  return pixels;
}

HardScenes hard_scenes(const uniq::Negatives& negatives, const data::Dataset& dataset) {
  return [&negatives, &dataset](int64_t image) {
    std::vector<int64_t> others;
    for (const auto& scene : negatives.of_image(dataset.images()[static_cast<size_t>(image)].id)) {
      const int64_t index = dataset.image_index(scene.image_id);
      if (index >= 0) others.push_back(index);
    }
    return others;
  };
}

}  // namespace iuq::train
