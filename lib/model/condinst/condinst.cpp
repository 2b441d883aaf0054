#include "lib/model/condinst/condinst.h"

#include <torch/types.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/model/common.h"
#include "lib/model/condinst/boxes.h"
#include "lib/model/condinst/targets.h"

namespace iuq::model {
namespace {

using namespace at::indexing;

constexpr double kDiceEps = 1e-5;
constexpr int64_t kStride = 8;   // of the mask features
constexpr size_t kLevels = 5;    // of strides 8 .. 128
enum Output : size_t { kClass = 0, kBox = kLevels, kCenterness = 2 * kLevels, kController = 3 * kLevels };
constexpr int64_t kHiddenAtOnce = int64_t{1} << 24;  // values of one dynamic layer: 64 MB

// [B, C, H, W] of five levels -> [B, locations, C]
at::Tensor by_location(const std::vector<at::Tensor>& maps, size_t first) {
  std::vector<at::Tensor> rows;
  for (size_t l = first; l < first + kLevels; ++l) rows.push_back(maps[l].flatten(2).transpose(1, 2));
  return at::cat(rows, 1);
}

float on_pixel(int64_t index, int64_t level) {
  const int64_t stride = kStride << level;
  return static_cast<float>(stride * index + stride / 2);
}

// Location (x, y) and level of each place in by_location's order: [locations, 3] float32 on the CPU.
at::Tensor all_places(const std::vector<at::Tensor>& maps) {
  std::vector<float> places;
  for (size_t l = 0; l < kLevels; ++l) {
    const auto level = static_cast<int64_t>(l);
    for (int64_t row = 0; row < maps[l].size(2); ++row) {
      for (int64_t column = 0; column < maps[l].size(3); ++column) {
        places.insert(places.end(), {on_pixel(column, level), on_pixel(row, level), static_cast<float>(level)});
      }
    }
  }
  return torch::tensor(places, at::kFloat).view({-1, 3});
}

// Every pixel that the mask loss and the semantic loss look at: [N, Hi, Wi] -> [N, Hi/s, Wi/s].
at::Tensor every(const at::Tensor& masks, int64_t stride) {
  return masks.index({Slice(), Slice(stride / 2, None, stride), Slice(stride / 2, None, stride)});
}

}  // namespace

CondInst::CondInst(const CondInstConfig& config, int64_t classes)
    : Segmenter("CondInst"), config_(config), classes_(classes) {
  const auto owner = register_module("backbone", std::make_shared<torch::nn::Module>("backbone"));
  backbone_ = owner->register_module("bottom_up", nn::make_backbone(config.backbone));
  const std::vector<int64_t> widths = backbone_->channels();
  fpn_ = nn::Fpn(*owner, {widths.begin() + 1, widths.end()}, config.channels, nn::FpnTop::kConvs);
  const auto generator = register_module("proposal_generator", std::make_shared<torch::nn::Module>("generator"));
  box_head_ = generator->register_module("fcos_head", FcosHead(config, classes));
  controller_ = register_module("controller", nn::Conv(nn::ConvImpl::Options{config.channels, config.query_width()}));
  mask_branch_ = register_module("mask_branch", CondInstMaskBranch(config, classes));
}

FeaturePyramid CondInst::backbone(const at::Tensor& images) { return backbone_->forward(images); }

FeaturePyramid CondInst::neck(const FeaturePyramid& backbone) { return fpn_({backbone.begin() + 1, backbone.end()}); }

at::Tensor CondInst::mask_features(const FeaturePyramid& neck, const Frame&) { return mask_branch_->forward(neck); }

Encoded CondInst::encode(const FeaturePyramid& backbone, const Frame& frame) {
  Encoded encoded;
  encoded.frame = frame;
  encoded.neck = neck(backbone);
  encoded.mask_features = mask_features(encoded.neck, frame);
  encoded.dense = box_head_->forward(encoded.neck, controller_);
  return encoded;
}

// dense_targets: labels of all locations [B * L] (-1 is background), positive locations [P], their distances [P, 4].
Queries CondInst::assign(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) {
  IUQ_ASSERT(static_cast<int64_t>(truth.size()) == encoded.mask_features.size(0));
  std::vector<view::Size> levels;
  std::vector<int64_t> first = {0};  // location of each level
  for (size_t l = 0; l < kLevels; ++l) {
    levels.push_back({encoded.dense[l].size(2), encoded.dense[l].size(3)});
    first.push_back(first.back() + levels[l].height * levels[l].width);
  }
  const auto batch = static_cast<int64_t>(truth.size());
  std::vector<int64_t> all_labels(static_cast<size_t>(batch * first.back()), -1), location, instance;
  std::vector<float> distances, place;
  for (int64_t b = 0; b < batch; ++b) {
    const view::GroundTruth& own = truth[static_cast<size_t>(b)];
    const at::Tensor labels = own.labels.to(at::kCPU);
    for (const CondInstPositive& p : condinst_targets(own, levels, config_)) {
      const auto l = static_cast<size_t>(p.level);
      location.push_back(b * first.back() + first[l] + p.row * levels[l].width + p.column);
      instance.push_back(p.instance);
      all_labels[static_cast<size_t>(location.back())] = labels[p.instance].item<int64_t>();
      distances.insert(distances.end(), p.distances, p.distances + 4);
      place.insert(place.end(), {on_pixel(p.column, p.level), on_pixel(p.row, p.level), static_cast<float>(p.level)});
    }
  }
  const at::Tensor& like = encoded.mask_features;
  const auto integers = [&](const std::vector<int64_t>& values) {
    return torch::tensor(values, at::kLong).to(like.device());
  };
  const auto floats = [&](const std::vector<float>& values, int64_t width) {
    return torch::tensor(values, at::kFloat).view({-1, width}).to(like.device());
  };
  const auto count = static_cast<int64_t>(location.size());
  Queries queries;
  queries.dense_targets = {integers(all_labels), integers(location), floats(distances, 4)};
  queries.draw = encoded.frame.draw;
  Rng rng(queries.draw, "condinst positives");
  std::vector<int64_t> kept = rng.sample(count, config_.max_positives);
  std::sort(kept.begin(), kept.end());
  const at::Tensor rows = integers(kept);
  const at::Tensor at = queries.dense_targets[1].index_select(0, rows);
  queries.image = at.div(first.back(), "floor");
  queries.instance = integers(instance).index_select(0, rows);
  queries.label = queries.dense_targets[0].index_select(0, at);
  queries.place = floats(place, 3).index_select(0, rows);
  queries.vectors = by_location(encoded.dense, kController).flatten(0, 1).index_select(0, at);  // [Q, Dq]
  const torch::NoGradGuard guard;
  const at::Tensor logits = by_location(encoded.dense, kClass).flatten(0, 1).index({at, queries.label});
  const at::Tensor central = by_location(encoded.dense, kCenterness).flatten().index_select(0, at);
  queries.score = at::sqrt(at::sigmoid(logits) * at::sigmoid(central));
  return queries;
}

Losses CondInst::base_losses(const Encoded& encoded, const Queries& queries,
                             const std::vector<view::GroundTruth>& truth) {
  const at::Tensor& labels = queries.dense_targets.at(0);
  const at::Tensor& positives = queries.dense_targets.at(1);
  const at::Tensor& distances = queries.dense_targets.at(2);
  const double count = static_cast<double>(std::max<int64_t>(1, positives.size(0)));
  const at::Tensor logits = by_location(encoded.dense, kClass).flatten(0, 1);  // [B * L, C]
  const at::Tensor targets = labels.unsqueeze(1) == at::arange(classes_, labels.options()).unsqueeze(0);
  const at::Tensor boxes = by_location(encoded.dense, kBox).flatten(0, 1).index_select(0, positives);      // [P, 4]
  const at::Tensor central = by_location(encoded.dense, kCenterness).flatten().index_select(0, positives);  // [P]
  const at::Tensor wanted = centerness(distances);
  const at::Tensor cross_entropy = at::binary_cross_entropy_with_logits(central, wanted, {}, {}, at::Reduction::Sum);
  Losses losses = {{"class", focal_loss_sum(logits, targets) / count},
                   {"box", (giou_loss(boxes, distances) * wanted).sum() / wanted.sum().clamp_min(1e-6)},
                   {"centerness", cross_entropy / count},
                   {"mask", mask_loss(queries, encoded.mask_features, truth, {})}};
  if (config_.semantic_loss) losses.emplace_back("semantic", semantic_loss(encoded, truth));
  return losses;
}

at::Tensor CondInst::semantic_loss(const Encoded& encoded, const std::vector<view::GroundTruth>& truth) {
  const at::Tensor logits = mask_branch_->semantic(encoded.neck.at(0));  // [B, C, H, W]
  at::Tensor targets = at::zeros(logits.sizes(), logits.options().dtype(at::kBool));
  for (size_t b = 0; b < truth.size(); ++b) {
    if (truth[b].count() == 0) continue;
    const at::Tensor masks = truth[b].masks.to(logits.device());
    const at::Tensor areas = masks.flatten(1).sum(1);
    const at::Tensor order = at::argsort(areas, /*stable=*/true, 0, /*descending=*/false).to(at::kCPU);
    const at::Tensor cells = every(masks, kStride);  // [N, H, W]
    at::Tensor label = at::full(cells[0].sizes(), -1, logits.options().dtype(at::kLong));
    for (int64_t i = order.size(0); i-- > 0;) {  // the smallest instance comes last and stays, of equal ones the first
      const int64_t n = order[i].item<int64_t>();
      label.masked_fill_(cells[n], truth[b].labels[n].item<int64_t>());
    }
    const at::Tensor classes = at::arange(classes_, label.options()).view({-1, 1, 1});
    targets[static_cast<int64_t>(b)].copy_(label.unsqueeze(0) == classes);
  }
  return focal_loss_sum(logits, targets) / targets.sum().clamp_min(1);
}

at::Tensor CondInst::mask_loss(const Queries& queries, const at::Tensor& mask_features,
                               const std::vector<view::GroundTruth>& truth, const at::Tensor& valid) {
  // Without queries the loss is 0 but keeps its graph, so that every parameter has a gradient.
  if (queries.count() == 0) return (queries.vectors.sum() + mask_features.sum()) * 0;
  const int64_t factor = kStride / config_.mask_out_stride;
  std::vector<at::Tensor> losses;
  const at::Tensor image = queries.image.to(at::kCPU);
  for (size_t b = 0; b < truth.size(); ++b) {
    const auto index = static_cast<int64_t>(b);
    const at::Tensor rows = at::nonzero(image == index).flatten().to(mask_features.device());
    if (rows.size(0) == 0) continue;
    const at::Tensor logits = masks_on(queries.vectors.index_select(0, rows), queries.place.index_select(0, rows),
                                       mask_features[index]);
    const at::Tensor large = aligned_bilinear(logits.unsqueeze(1), factor).flatten(1);  // [Qb, H*W]
    const at::Tensor masks = every(truth[b].masks.to(mask_features.device()), config_.mask_out_stride).flatten(1);
    const at::Tensor targets = masks.index_select(0, queries.instance.index_select(0, rows));
    at::Tensor weight;
    if (valid.defined()) {  // a pixel counts when all cells it is made of do
      const at::Tensor cells = valid[index].to(logits.scalar_type()).view({1, 1, logits.size(1), logits.size(2)});
      weight = (aligned_bilinear(cells, factor) > 0.999).flatten(1).to(logits.scalar_type());
    }
    losses.push_back(dice_loss(large, targets, weight, kDiceEps / 2));  // counted twice there
  }
  return at::cat(losses).mean();
}

at::Tensor CondInst::sizes_of(const at::Tensor& level) const {
  std::vector<float> sizes;
  for (size_t l = 0; l < kLevels; ++l) sizes.push_back(static_cast<float>(config_.size_of_level(l)));
  return torch::tensor(sizes, at::kFloat).to(level.device()).index_select(0, level.to(at::kLong));
}

RelativeCoordinates CondInst::relative_to(const at::Tensor& place, const at::Tensor& pixels) const {
  const at::Tensor sizes = sizes_of(place.select(1, 2)).unsqueeze(1);  // [Q, 1]
  return {pixels, place.slice(1, 0, 2) / sizes, -1 / sizes};
}

at::Tensor CondInst::masks_on(const at::Tensor& vectors, const at::Tensor& place, const at::Tensor& map) const {
  const int64_t height = map.size(1), width = map.size(2);
  const auto axis = [&](int64_t count) { return at::arange(count, place.options()) * kStride + kStride / 2; };
  const at::Tensor x = axis(width).view({1, width}).expand({height, width});
  const at::Tensor y = axis(height).view({height, 1}).expand({height, width});
  const at::Tensor logits =
      dynamic_masks(vectors, map.flatten(1), relative_to(place, at::stack({x, y}).flatten(1)), config_.dynamic_channels);
  return logits.view({-1, height, width});
}

at::Tensor CondInst::mask_logits(const Queries& queries, const at::Tensor& mask_features) {
  std::vector<at::Tensor> logits, rows_of;
  for (int64_t b = 0; b < mask_features.size(0); ++b) {
    const at::Tensor rows = at::nonzero(queries.image == b).flatten();
    rows_of.push_back(rows);
    logits.push_back(
        masks_on(queries.vectors.index_select(0, rows), queries.place.index_select(0, rows), mask_features[b]));
  }
  return at::cat(logits).index_select(0, at::argsort(at::cat(rows_of)));  // back in the queries' order
}

at::Tensor CondInst::pixel_logits(const Queries& queries, const PixelSet& pixels) {
  const auto coordinates = [&](int64_t first, int64_t last) -> RelativeCoordinates {
    const at::Tensor at = (pixels.position.slice(0, first, last) + kStride / 2).t();  // [2, P]
    if (config_.foreign_coordinates == "overlay") return relative_to(queries.place, at);
    const at::Tensor place = pixels.place.slice(0, first, last);
    const at::Tensor own = (place.slice(1, 0, 2).t() - at) / sizes_of(place.select(1, 2));
    const double scale = config_.foreign_coordinates == "zero" ? 0 : 1;
    return {own, at::zeros({1, 2}, own.options()), at::full({1, 1}, scale, own.options())};
  };
  const int64_t count = pixels.embeddings.size(0);
  const int64_t per_pixel = std::max<int64_t>(1, queries.count() * config_.dynamic_channels);
  const int64_t block = std::max<int64_t>(1, kHiddenAtOnce / per_pixel);
  std::vector<at::Tensor> logits;
  for (int64_t first = 0; first == 0 || first < count; first += block) {
    const int64_t last = std::min(first + block, count);
    const at::Tensor features = pixels.embeddings.slice(0, first, last).t();
    logits.push_back(dynamic_masks(queries.vectors, features, coordinates(first, last), config_.dynamic_channels));
  }
  return logits.size() == 1 ? logits[0] : at::cat(logits, 1);  // [Q, P]
}

at::Tensor CondInst::instance_cells(const view::GroundTruth& truth) {
  return with_centre_cells(every(truth.masks, kStride), truth.masks, kStride);
}

std::vector<Prediction> CondInst::predict(const Encoded& encoded) {
  std::vector<at::Tensor> scores;
  for (size_t l = 0; l < kLevels; ++l) {
    scores.push_back(at::sigmoid(encoded.dense[kClass + l]) * at::sigmoid(encoded.dense[kCenterness + l]));
  }
  std::vector<Prediction> predictions;
  for (int64_t b = 0; b < encoded.mask_features.size(0); ++b) predictions.push_back(predict_one(encoded, scores, b));
  return predictions;
}

Prediction CondInst::predict_one(const Encoded& encoded, const std::vector<at::Tensor>& maps, int64_t image) {
  std::vector<at::Tensor> score_of, label_of, location_of;
  int64_t begin = 0;
  for (size_t l = 0; l < kLevels; ++l) {
    const at::Tensor product = maps[l][image].flatten(1).t();                      // [HW, C]
    const at::Tensor hits = at::nonzero(product > config_.score_threshold);        // [K, 2] location, class
    const at::Tensor score = product.index({hits.select(1, 0), hits.select(1, 1)});
    const at::Tensor best =
        at::argsort(score, /*stable=*/true, 0, /*descending=*/true).slice(0, 0, config_.level_candidates);
    score_of.push_back(at::sqrt(score.index_select(0, best)));
    location_of.push_back(hits.select(1, 0).index_select(0, best) + begin);
    label_of.push_back(hits.select(1, 1).index_select(0, best));
    begin += product.size(0);
  }
  const at::Tensor location = at::cat(location_of);
  const at::Tensor place = all_places(encoded.dense).to(location.device()).index_select(0, location);  // [K, 3]
  const at::Tensor distances = by_location(encoded.dense, kBox)[image].index_select(0, location);
  const at::Tensor stride = at::bitwise_left_shift(at::Scalar(kStride), place.slice(1, 2, 3).to(at::kLong));  // [K, 1]
  const at::Tensor points = place.slice(1, 0, 2);
  const at::Tensor boxes =
      at::cat({points - distances.slice(1, 0, 2) * stride, points + distances.slice(1, 2, 4) * stride}, 1);
  const at::Tensor scores = at::cat(score_of);
  const at::Tensor labels = at::cat(label_of);
  at::Tensor rows = box_nms(boxes, scores, labels, config_.nms_iou).slice(0, 0, config_.max_detections);

  const view::Size valid = encoded.frame.valid.at(static_cast<size_t>(image));
  const at::Tensor kept = boxes.index_select(0, rows);
  const auto extent = [&](int64_t axis, int64_t limit) {
    const auto cut = [&](const at::Tensor& side) { return side.clamp(0, static_cast<double>(limit)); };
    return cut(kept.select(1, axis + 2)) - cut(kept.select(1, axis));
  };
  rows = rows.index_select(0, at::nonzero((extent(0, valid.width) > 0) & (extent(1, valid.height) > 0)).flatten());
  const at::Tensor vectors =
      by_location(encoded.dense, kController)[image].index_select(0, location.index_select(0, rows));
  const at::Tensor logits = masks_on(vectors, place.index_select(0, rows), encoded.mask_features[image]);
  const at::Tensor large = aligned_bilinear(logits.unsqueeze(1), kStride / config_.mask_out_stride).squeeze(1);
  return {scores.index_select(0, rows), labels.index_select(0, rows), at::sigmoid(large), config_.mask_threshold};
}

at::Tensor CondInst::to_canvas(const at::Tensor& masks, view::Size canvas) {
  return aligned_bilinear(masks.unsqueeze(1), canvas.height / masks.size(1)).squeeze(1);
}

}  // namespace iuq::model
