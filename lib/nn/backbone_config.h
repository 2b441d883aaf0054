#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/config_fields.h"

namespace iuq::nn {

/// Residual networks, torchvision's layout. fields() says what each field means.
struct ResNetConfig {
  std::string name = "resnet50";
  int64_t width = 64;
  std::string norm = "frozen";
  int64_t freeze = 2;
  bool stride_in_1x1 = false;

  static std::vector<std::string> names();

  static constexpr const char* kSection = "model.backbone";
  ConfigFields fields();
  void check() const;
};

/// Swin Transformers. "name" sets the other fields to its published size; each can be changed from there. fields() says what
/// each field means.
struct SwinConfig {
  std::string name = "swin_t";
  int64_t embed = 96;
  std::vector<int64_t> depths = {2, 2, 6, 2};
  std::vector<int64_t> heads = {3, 6, 12, 24};
  int64_t window = 7;
  double drop_path = 0.3;
  int64_t freeze = 0;

  std::vector<double> drop_rates() const;  // of each block, in order
  static std::vector<std::string> names();

  static constexpr const char* kSection = "model.backbone";
  ConfigFields fields();
  void check() const;
  void take_name(const std::string& size);  // sets the other fields to the published ones
};

/// Key "model.backbone" of the config: the fields of the backbone that "name" says, ResNet-50 if it says nothing.
struct BackboneConfig {
  std::variant<ResNetConfig, SwinConfig> choice;

  ConfigFields fields();
};
/// Error(kConfig) for an unknown name and for a field that this backbone does not have.
void from_json(const nlohmann::json& j, BackboneConfig& config);
void to_json(nlohmann::json& j, const BackboneConfig& config);

}  // namespace iuq::nn
