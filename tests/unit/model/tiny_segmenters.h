#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

// Every segmenter of the registry, small enough for unit tests. One that is added there needs a row here.
namespace iuq::test {

inline const std::map<std::string, nlohmann::json>& tiny_segmenters() {
  static const std::map<std::string, nlohmann::json> table = [] {
    auto rows = nlohmann::json::parse(R"({
      "condinst": {"channels": 16, "head_convs": 1, "groups": 4, "mask_channels": 16, "mask_convs": 1,
                   "sizes": [32, 64, 128, 256]},
      "mask2former": {"width": 16, "embedding": 12, "groups": 4, "heads": 2, "encoder_layers": 1, "encoder_ffn": 16,
                      "queries": 8, "decoder_layers": 3, "decoder_ffn": 16, "loss_points": 256},
      "solov2": {"channels": 16, "head_channels": 16, "head_convs": 1, "mask_channels": 16, "embedding": 16, "groups": 4,
                 "grids": [8, 8, 6, 4, 4], "scales": [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048]},
      "sotr": {"channels": 16, "depth": 1, "heads": 2, "head_width": 8, "mask_channels": 16, "embedding": 16, "groups": 4,
               "grids": [8, 8, 6, 4, 4], "scales": [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048]}
    })").get<std::map<std::string, nlohmann::json>>();
    for (auto& [name, model] : rows) {
      model["name"] = name;
      model["backbone"] = {{"name", "resnet10"}, {"width", 8}, {"norm", "frozen"}, {"freeze", 0}};
    }
    return rows;
  }();
  return table;
}

}  // namespace iuq::test
