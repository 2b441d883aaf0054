#include "lib/data/synth_config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/data/shapes.h"

namespace iuq::data {

void SynthConfig::check() const {
  const auto field = [](bool ok, const char* name, const nlohmann::json& value, const std::string& must) {
    check_config(ok, std::string("synth.") + name, value, must);
  };
  field(images >= 1 && images <= 200000, "images", images, "1..200000");
  field(val_images >= 0 && val_images <= 200000, "val_images", val_images, "0..200000");
  field(height >= 32 && height <= 4096, "height", height, "32..4096");
  field(width >= 32 && width <= 4096, "width", width, "32..4096");
  field(categories >= 0 && categories <= kShapeCount, "categories", categories, cat("0..", kShapeCount));
  field(min_instances >= 1 && min_instances <= 100, "min_instances", min_instances, "1..100");
  field(max_instances >= min_instances && max_instances <= 100, "max_instances", max_instances, "min_instances..100");
  field(min_size > 0 && min_size <= 1, "min_size", min_size, "in (0, 1]");
  field(max_size >= min_size && max_size <= 1, "max_size", max_size, "in [min_size, 1]");
  field(similarity >= 0 && similarity <= 1, "similarity", similarity, "in [0, 1]");
  field(occlusion >= 0 && occlusion <= 0.7, "occlusion", occlusion, "in [0, 0.7]");
  field(format == "coco" || format == "lvis", "format", format, "\"coco\" or \"lvis\"");
  field(tail >= 0 && tail <= 4, "tail", tail, "in [0, 4]");
}

SynthConfig read_synth_config(const nlohmann::json& section) {
  SynthConfig config;
  ConfigReader read(section, "synth");
  read("images", config.images);
  read("val_images", config.val_images);
  read("height", config.height);
  read("width", config.width);
  read("categories", config.categories);
  read("min_instances", config.min_instances);
  read("max_instances", config.max_instances);
  read("min_size", config.min_size);
  read("max_size", config.max_size);
  read("similarity", config.similarity);
  read("occlusion", config.occlusion);
  read("format", config.format);
  read("tail", config.tail);
  read.done();
  return config;
}

nlohmann::json to_json(const SynthConfig& c) {
  return {{"images", c.images},
          {"val_images", c.val_images},
          {"height", c.height},
          {"width", c.width},
          {"categories", c.categories},
          {"min_instances", c.min_instances},
          {"max_instances", c.max_instances},
          {"min_size", c.min_size},
          {"max_size", c.max_size},
          {"similarity", c.similarity},
          {"occlusion", c.occlusion},
          {"format", c.format},
          {"tail", c.tail},
          {"seed", c.seed}};
}

}  // namespace iuq::data
