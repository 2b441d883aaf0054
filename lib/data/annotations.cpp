#include "lib/data/annotations.h"

#include <algorithm>

#include "lib/data/dataset_loader.h"
#include "lib/data/segmentation.h"

namespace iuq::data {

Dataset Dataset::load(const std::string& path, const ReadOptions& options) { return DatasetLoader(path, options).load(); }

std::span<const Annotation> Dataset::annotations_of(const Image& image) const {
  return {annotations_.data() + image.first, static_cast<size_t>(image.count)};
}

int64_t Dataset::image_index(int64_t image_id) const {
  const auto it = std::lower_bound(image_of_id_.begin(), image_of_id_.end(), std::pair(image_id, int64_t{0}));
  return it != image_of_id_.end() && it->first == image_id ? it->second : -1;
}

int64_t Dataset::category_index(int64_t category_id) const {
  const auto it = std::lower_bound(categories_.begin(), categories_.end(), category_id,
                                   [](const Category& c, int64_t id) { return c.id < id; });
  return it != categories_.end() && it->id == category_id ? it - categories_.begin() : -1;
}

mask::Rle Dataset::mask(int64_t index) const {
  const Annotation& annotation = annotations_.at(static_cast<size_t>(index));
  const Image& image = images_[static_cast<size_t>(image_index(annotation.image_id))];
  io::Segmentation segmentation;
  io::unpack(segments_[static_cast<size_t>(index)], segmentation);
  return to_mask(segmentation, image.height, image.width);
}

std::optional<std::vector<std::vector<double>>> Dataset::polygons(int64_t index) const {
  io::Segmentation segmentation;
  io::unpack(segments_.at(static_cast<size_t>(index)), segmentation);
  if (segmentation.kind != io::Segmentation::Kind::kPolygons) return std::nullopt;
  std::vector<std::vector<double>> out;
  auto number = segmentation.numbers.begin();
  for (const uint32_t length : segmentation.lengths) {
    out.emplace_back(number, number + length);
    number += length;
  }
  return out;
}

int64_t Dataset::bytes() const {
  const auto of = [](const auto& list) { return static_cast<int64_t>(list.capacity() * sizeof(list[0])); };
  return of(categories_) + of(images_) + of(annotations_) + of(segments_) + of(image_of_id_) + store_.bytes();
}

}  // namespace iuq::data
