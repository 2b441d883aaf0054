#include "lib/model/mask2former/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/config.h"

namespace iuq::model {

ConfigFields Mask2FormerConfig::fields() {
  const Range size = Range::closed(1, 65536);
  return {
      {"name", "mask2former", "which segmenter; another has other fields"},
      {"backbone", inner_section(backbone), "the network that makes the feature maps"},
      {"width", &width, "channels of pixel decoder and transformer, a multiple of 4, groups and heads",
       Range::closed(4, 4096)},
      {"embedding", &embedding, "D, width of the mask features", size},
      {"groups", &groups, "groups of the group norms", size},
      {"heads", &heads, "heads of every attention", size},
      {"points", &points, "points that a head of the pixel decoder reads on each level", Range::closed(1, 64)},
      {"encoder_layers", &encoder_layers, "layers of the pixel decoder", Range::closed(0, 100)},
      {"encoder_ffn", &encoder_ffn, "hidden width of the pixel decoder's feed-forward networks", size},
      {"queries", &queries, "Q, object queries", Range::closed(1, 10000)},
      {"decoder_layers", &decoder_layers,
       "layers of the transformer; the reference's \"DEC_LAYERS: 10\" counts the prediction before the first one too",
       Range::closed(0, 100)},
      {"decoder_ffn", &decoder_ffn, "hidden width of the transformer's feed-forward networks", size},
      {"class_weight", &class_weight, "weight of the class loss", Range::at_least(0)},
      {"mask_weight", &mask_weight, "weight of the cross entropy on points", Range::at_least(0)},
      {"dice_weight", &dice_weight, "weight of the dice loss", Range::at_least(0)},
      {"no_object_weight", &no_object_weight, "weight of unmatched queries in the class loss", Range::left_open(0, 1)},
      {"loss_points", &loss_points, "points per mask, for the losses and for matching", Range::closed(1, 1000000)},
      {"oversample", &oversample, "candidates per point", Range::closed(1, 100)},
      {"importance", &importance, "share of the points that are the least certain candidates", Range::closed(0, 1)},
      {"method_layers", &method_layers, "whose matched queries the method sees", Range::one_of({"last", "all"})},
      {"max_detections", &max_detections, "detections per image, at most", size},
  };
}

void Mask2FormerConfig::check() const {
  check_ranges(*this);
  check_config(width % 4 == 0 && width % groups == 0 && width % heads == 0, "model.width", width,
               "a multiple of 4, of model.groups and of model.heads, up to 4096");
}

}  // namespace iuq::model
