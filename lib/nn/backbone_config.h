#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

namespace iuq::nn {

/// Residual networks, torchvision's layout.
struct ResNetConfig {
  std::string name = "resnet50";  // resnet10, 18, 34 (basic blocks), 50, 101 (bottlenecks)
  int64_t width = 64;             // channels after the stem; 64 is the published size, less makes it tiny
  std::string norm = "frozen";    // "frozen" (pretrained weights) or "batch" (from a random start)
  int64_t freeze = 2;             // parts that do not train: 0 none, 1 stem, 2 stem and res2, ... 5 all
  bool stride_in_1x1 = false;     // true for MSRA/Caffe weights, false for torchvision's (models.md 1.1)
  void check() const;
};
void from_json(const nlohmann::json& j, ResNetConfig& config);
void to_json(nlohmann::json& j, const ResNetConfig& config);

/// Key "model.backbone" of the config: the fields of the backbone that "name" says, ResNet-50 if it says nothing.
struct BackboneConfig {
  std::variant<ResNetConfig> choice;
};
/// Error(kConfig) for an unknown name and for a field that this backbone does not have.
void from_json(const nlohmann::json& j, BackboneConfig& config);
void to_json(nlohmann::json& j, const BackboneConfig& config);

}  // namespace iuq::nn
