#include "lib/nn/backbone.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/nn/backbone_config.h"
#include "lib/nn/resnet.h"
#include "lib/nn/swin.h"

namespace iuq::nn {
namespace {

std::shared_ptr<Backbone> make(const ResNetConfig& config) { return std::make_shared<ResNetImpl>(config); }
std::shared_ptr<Backbone> make(const SwinConfig& config) { return std::make_shared<SwinImpl>(config); }

}  // namespace

void from_json(const nlohmann::json& j, BackboneConfig& config) {
  // The name first: it says which other fields there are.
  const auto name = j.is_object() && j.contains("name") && j["name"].is_string() ? j["name"].get<std::string>()
                                                                                  : ResNetConfig().name;
  const std::vector<std::string> residual = ResNetConfig::names(), swin = SwinConfig::names();
  const auto among = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  check_config(among(residual) || among(swin), "model.backbone.name", name,
               cat("one of ", listed(residual), ", ", listed(swin)));
  if (among(swin)) {
    config.choice = j.get<SwinConfig>();
  } else {
    config.choice = j.get<ResNetConfig>();
  }
}

void to_json(nlohmann::json& j, const BackboneConfig& config) {
  std::visit([&j](const auto& choice) { j = choice; }, config.choice);
}

ConfigFields BackboneConfig::fields() {
  return std::visit([](auto& config) { return config.fields(); }, choice);
}

std::shared_ptr<Backbone> make_backbone(const BackboneConfig& config) {
  return std::visit([](const auto& choice) { return make(choice); }, config.choice);
}

}  // namespace iuq::nn
