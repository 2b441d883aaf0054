#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace iuq::nn {

/// Residual networks, torchvision's layout.
struct ResNetConfig {
  std::string name = "resnet50";  // resnet10, 18, 34 (basic blocks), 50, 101 (bottlenecks)
  int64_t width = 64;             // channels after the stem; 64 is the published size, less makes it tiny
  std::string norm = "frozen";    // "frozen" (pretrained weights) or "batch" (from a random start)
  int64_t freeze = 2;             // parts that do not train: 0 none, 1 stem, 2 stem and res2, ... 5 all
  bool stride_in_1x1 = false;     // true for MSRA/Caffe weights, false for torchvision's (models.md 1.1)
  void check() const;
  static std::vector<std::string> names();
};
void from_json(const nlohmann::json& j, ResNetConfig& config);
void to_json(nlohmann::json& j, const ResNetConfig& config);

/// Swin Transformers. "name" sets the other fields to its published size; each can be changed from there.
struct SwinConfig {
  std::string name = "swin_t";                   // swin_t, swin_s, swin_b, swin_l
  int64_t embed = 96;                            // channels of the first stage; each stage has twice those of the last
  std::vector<int64_t> depths = {2, 2, 6, 2};    // blocks of the four stages
  std::vector<int64_t> heads = {3, 6, 12, 24};   // of their attention; published sizes have 32 channels in each
  int64_t window = 7;                            // tokens per side of a window; 12 for swin_b and swin_l
  double drop_path = 0.3;                        // chance that the last block is skipped in training; falls linearly to 0 at
                                                 // the first
  int64_t freeze = 0;                            // parts that do not train: 0 none, 1 the patches, 2 and the first stage, ... 5
  void check() const;
  std::vector<double> drop_rates() const;        // of each block, in order
  static std::vector<std::string> names();
};
void from_json(const nlohmann::json& j, SwinConfig& config);
void to_json(nlohmann::json& j, const SwinConfig& config);

/// Key "model.backbone" of the config: the fields of the backbone that "name" says, ResNet-50 if it says nothing.
struct BackboneConfig {
  std::variant<ResNetConfig, SwinConfig> choice;
};
/// Error(kConfig) for an unknown name and for a field that this backbone does not have.
void from_json(const nlohmann::json& j, BackboneConfig& config);
void to_json(nlohmann::json& j, const BackboneConfig& config);

}  // namespace iuq::nn
