#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lib/data/image.h"

namespace iuq::test {

/// Writes images of the given sizes (height, width) with some texture, and COCO annotations of them with `instances`
/// boxes each, to `folder`. Image ids are 100, 103, 106, ... in file order reversed; annotation ids count from 1.
inline void write_tiny_dataset(const std::string& folder, const std::vector<std::pair<int64_t, int64_t>>& sizes,
                               int64_t instances = 2) {
  nlohmann::json json = {{"images", nlohmann::json::array()},
                         {"annotations", nlohmann::json::array()},
                         {"categories", {{{"id", 1}, {"name", "a"}}, {{"id", 2}, {"name", "b"}}}}};
  int64_t annotation = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto [height, width] = sizes[i];
    const int64_t id = 100 + 3 * static_cast<int64_t>(sizes.size() - 1 - i);
    data::Pixels pixels{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
    for (size_t n = 0; n < pixels.bgr.size(); ++n) pixels.bgr[n] = static_cast<uint8_t>((n * 37 + i * 101 + n / 97) % 251);
    const std::string name = std::to_string(id) + ".png";
    data::write_png(folder + "/" + name, pixels);
    json["images"].push_back({{"id", id}, {"file_name", name}, {"height", height}, {"width", width}});
    for (int64_t k = 0; k < instances; ++k) {
      const double x = static_cast<double>((5 * i + 11 * static_cast<size_t>(k)) % static_cast<size_t>(width / 2));
      const double y = static_cast<double>((7 * i + 13 * static_cast<size_t>(k)) % static_cast<size_t>(height / 2));
      const double w = static_cast<double>(width) / 2 - 1, h = static_cast<double>(height) / 2 - 1;
      json["annotations"].push_back({{"id", ++annotation},
                                     {"image_id", id},
                                     {"category_id", 1 + annotation % 2},
                                     {"iscrowd", 0},
                                     {"area", w * h},
                                     {"bbox", {x, y, w, h}},
                                     {"segmentation", {{x, y, x + w, y, x + w, y + h, x, y + h}}}});
    }
  }
  std::ofstream(folder + "/annotations.json") << json.dump();
}

/// Makes the image ids of an annotations file strings: 103 becomes "shot_103".
inline void name_images(const std::string& path) {
  nlohmann::json set = nlohmann::json::parse(std::ifstream(path));
  const auto name = [](nlohmann::json& id) { id = "shot_" + std::to_string(id.get<int64_t>()); };
  for (nlohmann::json& image : set["images"]) name(image["id"]);
  for (nlohmann::json& annotation : set["annotations"]) name(annotation["image_id"]);
  std::ofstream(path) << set.dump();
}

}  // namespace iuq::test
