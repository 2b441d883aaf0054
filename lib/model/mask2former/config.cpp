#include "lib/model/mask2former/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

void Mask2FormerConfig::check() const {
  const auto positive = [](const char* field, int64_t value) {
    check_config(value >= 1 && value <= 65536, field, value, "in 1..65536");
  };
  positive("model.groups", groups);
  positive("model.heads", heads);
  positive("model.embedding", embedding);
  check_config(width >= 4 && width <= 4096 && width % 4 == 0 && width % groups == 0 && width % heads == 0, "model.width",
               width, "a multiple of 4, of model.groups and of model.heads, up to 4096");
  check_config(points >= 1 && points <= 64, "model.points", points, "in 1..64");
  check_config(encoder_layers >= 0 && encoder_layers <= 100, "model.encoder_layers", encoder_layers, "in 0..100");
  positive("model.encoder_ffn", encoder_ffn);
  check_config(queries >= 1 && queries <= 10000, "model.queries", queries, "in 1..10000");
  check_config(decoder_layers >= 0 && decoder_layers <= 100, "model.decoder_layers", decoder_layers, "in 0..100");
  positive("model.decoder_ffn", decoder_ffn);
  const auto weight = [](const char* field, double value) { check_config(value >= 0, field, value, ">= 0"); };
  weight("model.class_weight", class_weight);
  weight("model.mask_weight", mask_weight);
  weight("model.dice_weight", dice_weight);
  check_config(no_object_weight > 0 && no_object_weight <= 1, "model.no_object_weight", no_object_weight, "in (0, 1]");
  check_config(loss_points >= 1 && loss_points <= 1000000, "model.loss_points", loss_points, "in 1..1000000");
  check_config(oversample >= 1 && oversample <= 100, "model.oversample", oversample, "in [1, 100]");
  check_config(importance >= 0 && importance <= 1, "model.importance", importance, "in [0, 1]");
  check_config(method_layers == "last" || method_layers == "all", "model.method_layers", method_layers,
               "\"last\" or \"all\"");
  positive("model.max_detections", max_detections);
}

void from_json(const nlohmann::json& j, Mask2FormerConfig& c) {
  ConfigReader read(j, "model");
  std::string name;
  read("name", name);
  nn::from_json(read.section("backbone"), c.backbone);
  read("width", c.width);
  read("embedding", c.embedding);
  read("groups", c.groups);
  read("heads", c.heads);
  read("points", c.points);
  read("encoder_layers", c.encoder_layers);
  read("encoder_ffn", c.encoder_ffn);
  read("queries", c.queries);
  read("decoder_layers", c.decoder_layers);
  read("decoder_ffn", c.decoder_ffn);
  read("class_weight", c.class_weight);
  read("mask_weight", c.mask_weight);
  read("dice_weight", c.dice_weight);
  read("no_object_weight", c.no_object_weight);
  read("loss_points", c.loss_points);
  read("oversample", c.oversample);
  read("importance", c.importance);
  read("method_layers", c.method_layers);
  read("max_detections", c.max_detections);
  read.done();
  c.check();
}

void to_json(nlohmann::json& j, const Mask2FormerConfig& c) {
  j = {{"name", "mask2former"},
       {"backbone", c.backbone},
       {"width", c.width},
       {"embedding", c.embedding},
       {"groups", c.groups},
       {"heads", c.heads},
       {"points", c.points},
       {"encoder_layers", c.encoder_layers},
       {"encoder_ffn", c.encoder_ffn},
       {"queries", c.queries},
       {"decoder_layers", c.decoder_layers},
       {"decoder_ffn", c.decoder_ffn},
       {"class_weight", c.class_weight},
       {"mask_weight", c.mask_weight},
       {"dice_weight", c.dice_weight},
       {"no_object_weight", c.no_object_weight},
       {"loss_points", c.loss_points},
       {"oversample", c.oversample},
       {"importance", c.importance},
       {"method_layers", c.method_layers},
       {"max_detections", c.max_detections}};
}

}  // namespace iuq::model
