#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/data/image.h"
#include "lib/view/input.h"

namespace iuq::test {

/// Images whose red and green tell the column and the row and whose blue tells whether a pixel is of the one instance, a
/// disc left of the middle; so a pixel after any geometry says where it came from.
struct Ramp {
  static constexpr int64_t kHeight = 120, kWidth = 160;
  static constexpr double kCentreX = 60, kCentreY = 70, kRadius = 35;

  static double red(double x) { return x * 255 / (kWidth - 1); }
  static double green(double y) { return y * 255 / (kHeight - 1); }
  static bool inside(double x, double y) { return std::hypot(x + 0.5 - kCentreX, y + 0.5 - kCentreY) < kRadius; }

  /// Writes `count` of them to `folder`, with ids 1, 2, ... and annotations.json.
  static void write(const std::string& folder, int64_t count) {
    nlohmann::json json = {{"images", nlohmann::json::array()},
                           {"annotations", nlohmann::json::array()},
                           {"categories", {{{"id", 1}, {"name", "disc"}}}}};
    data::Pixels pixels{kHeight, kWidth, std::vector<uint8_t>(static_cast<size_t>(3 * kHeight * kWidth))};
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) {
        uint8_t* const pixel = pixels.at(y, x);
        pixel[0] = inside(static_cast<double>(x), static_cast<double>(y)) ? 255 : 0;
        pixel[1] = static_cast<uint8_t>(std::lround(green(static_cast<double>(y))));
        pixel[2] = static_cast<uint8_t>(std::lround(red(static_cast<double>(x))));
      }
    }
    std::vector<int64_t> counts = {0};  // runs of outside, inside, outside, ... column by column
    for (int64_t i = 0; i < kWidth * kHeight; ++i) {
      const bool in = inside(static_cast<double>(i / kHeight), static_cast<double>(i % kHeight));
      if (in != (counts.size() % 2 == 0)) counts.push_back(0);
      ++counts.back();
    }
    const nlohmann::json mask = {{"size", {kHeight, kWidth}}, {"counts", counts}};
    for (int64_t id = 1; id <= count; ++id) {
      const std::string name = std::to_string(id) + ".png";
      data::write_png(folder + "/" + name, pixels);
      json["images"].push_back({{"id", id}, {"file_name", name}, {"height", kHeight}, {"width", kWidth}});
      json["annotations"].push_back({{"id", id}, {"image_id", id}, {"category_id", 1}, {"iscrowd", 0},
                                     {"segmentation", mask}});
    }
    std::ofstream(folder + "/annotations.json") << json.dump();
  }

  /// Section "input" that leaves colours as they are, red first; test size is 180 x 240.
  static view::InputConfig input() {
    view::InputConfig input;
    input.mean = {0, 0, 0};
    input.std = {1, 1, 1};
    input.short_side = {90, 180};
    input.long_side = 400;
    return input;
  }
};

}  // namespace iuq::test
