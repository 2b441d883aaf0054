#include "lib/nn/backbone.h"

#include <nlohmann/json.hpp>

#include "lib/nn/backbone_config.h"
#include "lib/nn/resnet.h"
#include "lib/nn/swin.h"

namespace iuq::nn {
namespace {

std::shared_ptr<Backbone> make(const ResNetConfig& config) { return std::make_shared<ResNetImpl>(config); }
std::shared_ptr<Backbone> make(const SwinConfig& config) { return std::make_shared<SwinImpl>(config); }

}  // namespace

void from_json(const nlohmann::json& j, BackboneConfig& config) {
  const auto name = j.is_object() ? j.find("name") : j.end();
  const bool named = j.is_object() && name != j.end() && name->is_string();
  if (named && name->get<std::string>().rfind("swin", 0) == 0) {
    config.choice = j.get<SwinConfig>();
  } else {
    config.choice = j.get<ResNetConfig>();
  }
}

void to_json(nlohmann::json& j, const BackboneConfig& config) {
  std::visit([&j](const auto& choice) { j = choice; }, config.choice);
}

std::shared_ptr<Backbone> make_backbone(const BackboneConfig& config) {
  return std::visit([](const auto& choice) { return make(choice); }, config.choice);
}

}  // namespace iuq::nn
