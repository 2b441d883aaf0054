#include <torch/types.h>

#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/model/condinst/condinst.h"
#include "lib/model/mask2former/mask2former.h"
#include "lib/model/segmenter.h"
#include "lib/model/solov2/solov2.h"
#include "lib/model/sotr/sotr.h"
#include "lib/nn/conv.h"

namespace iuq::model {
namespace {

struct Entry {
  std::shared_ptr<Segmenter> (*make)(const nlohmann::json& config, int64_t classes);
  nlohmann::json (*effective)(const nlohmann::json& config);
  ConfigDoc (*describe)(const nlohmann::json& config);
};

template <class Model, class Config>
Entry entry() {
  return {[](const nlohmann::json& config, int64_t classes) -> std::shared_ptr<Segmenter> {
            return std::make_shared<Model>(config.get<Config>(), classes);
          },
          [](const nlohmann::json& config) -> nlohmann::json { return config.get<Config>(); },
          [](const nlohmann::json& config) { return describe_section("model", config.get<Config>()); }};
}

// The one place that lists the segmenters.
const std::map<std::string, Entry>& segmenters() {
  static const std::map<std::string, Entry> table = {{"condinst", entry<CondInst, CondInstConfig>()},
                                                     {"mask2former", entry<Mask2Former, Mask2FormerConfig>()},
                                                     {"solov2", entry<Solov2, Solov2Config>()},
                                                     {"sotr", entry<Sotr, SotrConfig>()}};
  return table;
}

const Entry& entry_of(const nlohmann::json& config) {
  const bool named = config.is_object() && config.contains("name");
  check_config(named && config["name"].is_string() && segmenters().count(config["name"]) > 0, "model.name",
               named ? config["name"] : nlohmann::json(), "one of " + listed(segmenter_names()));
  return segmenters().at(config["name"]);
}

}  // namespace

at::Tensor Segmenter::to_canvas(const at::Tensor& masks, view::Size canvas) {
  return nn::resize_bilinear(masks.unsqueeze(1), canvas.height, canvas.width).squeeze(1);
}

at::Tensor Segmenter::score_factors(const at::Tensor& masks) { return at::ones({masks.size(0)}, masks.options()); }

std::shared_ptr<Segmenter> make_segmenter(const nlohmann::json& config, int64_t classes, uint64_t seed) {
  if (classes < 1) throw Error(ErrorCode::kBadData, "a segmenter needs at least one category");
  auto segmenter = entry_of(config).make(config, classes);
  nn::init_modules_(*segmenter, seed);
  return segmenter;
}

std::vector<std::string> segmenter_names() {
  std::vector<std::string> names;
  for (const auto& [name, unused] : segmenters()) names.push_back(name);
  return names;
}

nlohmann::json effective_model_config(const nlohmann::json& config) { return entry_of(config).effective(config); }

ConfigDoc describe_model_config(const nlohmann::json& config) { return entry_of(config).describe(config); }

}  // namespace iuq::model
