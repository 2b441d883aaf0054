#include "lib/model/condinst/condinst.h"

#include <torch/types.h>

#include <algorithm>

#include "lib/base/rng.h"
#include "lib/model/common.h"
#include "lib/model/condinst/boxes.h"
#include "lib/model/condinst/targets.h"
#include "lib/nn/backbone.h"

namespace iuq::model {
namespace {

using namespace at::indexing;

constexpr double kMaskEps = 1e-5;
constexpr int64_t kStride = 8;   // of the mask features
constexpr size_t kHeadLevels = 5;    // of strides 8 .. 128
constexpr int64_t kHiddenAtOnce = int64_t{1} << 24;  // values of one dynamic layer: 64 MB

/// The targets of the class and box losses.
struct CondInstTargets : SegmenterState {
  static constexpr const char* kOwner = CondInstHeads::kOwner;
  at::Tensor labels;     // [B * L] int64, of all locations of the batch in the order of to_rows; -1 is background
  at::Tensor positives;  // [P] int64, rows of the locations that answer for an instance
  at::Tensor distances;  // [P, 4] float32, to the sides of its box in strides of the level
};

float on_pixel(int64_t index, int64_t level) {
  const int64_t stride = kStride << level;
  return static_cast<float>(stride * index + stride / 2);
}

// Anchors of all locations of one image in the order of to_rows: [L, 3] float32 on the CPU.
at::Tensor all_anchors(const std::vector<at::Tensor>& maps) {
  std::vector<float> anchors;
  for (size_t l = 0; l < kHeadLevels; ++l) {
    const auto level = static_cast<int64_t>(l);
    for (int64_t row = 0; row < maps[l].size(2); ++row) {
      for (int64_t column = 0; column < maps[l].size(3); ++column) {
        anchors.insert(anchors.end(), {on_pixel(column, level), on_pixel(row, level), static_cast<float>(level)});
      }
    }
  }
  return torch::tensor(anchors, at::kFloat).view({-1, 3});
}

// Every pixel that the mask loss and the semantic loss look at: [N, Hi, Wi] -> [N, Hi/s, Wi/s].
at::Tensor every(const at::Tensor& masks, int64_t stride) {
  return masks.index({Slice(), Slice(stride / 2, None, stride), Slice(stride / 2, None, stride)});
}

}  // namespace

CondInst::CondInst(const CondInstConfig& config, int64_t classes)
    : Segmenter({"CondInst", "backbone.bottom_up.", kStride, config.embedding, config.query_width()},
                nn::make_backbone(config.backbone)),
      config_(config), classes_(classes) {
  const std::vector<int64_t> widths = backbone_channels();
  fpn_ = nn::Fpn(*named_children()["backbone"], {widths.begin() + 1, widths.end()}, config.channels, nn::FpnTop::kConvs);
  const auto generator = register_module("proposal_generator", std::make_shared<torch::nn::Module>("generator"));
  box_head_ = generator->register_module("fcos_head", FcosHead(config, classes));
  controller_ = register_module("controller", nn::Conv(nn::ConvImpl::Options{config.channels, config.query_width()}));
  mask_branch_ = register_module("mask_branch", CondInstMaskBranch(config, classes));
}

FeaturePyramid CondInst::do_neck(const FeaturePyramid& backbone) { return fpn_({backbone.begin() + 1, backbone.end()}); }

at::Tensor CondInst::do_mask_features(const FeaturePyramid& neck) { return mask_branch_->forward(neck); }

std::shared_ptr<const SegmenterState> CondInst::do_heads(const FeaturePyramid& neck, const at::Tensor&) {
  return std::make_shared<CondInstHeads>(box_head_->forward(neck, controller_));
}

Queries CondInst::do_assign(const Encoded& encoded, const std::vector<view::Instances>& truth) {
  const auto& heads = own_state<CondInstHeads>(encoded.heads);
  std::vector<view::Size> levels;
  std::vector<int64_t> first = {0};  // location of each level
  for (size_t l = 0; l < kHeadLevels; ++l) {
    levels.push_back({heads.classes[l].size(2), heads.classes[l].size(3)});
    first.push_back(first.back() + levels[l].height * levels[l].width);
  }
  const auto batch = static_cast<int64_t>(truth.size());
  std::vector<int64_t> all_labels(static_cast<size_t>(batch * first.back()), -1), location, instance;
  std::vector<float> distances, anchor;
  for (int64_t b = 0; b < batch; ++b) {
    const view::Instances& own = truth[static_cast<size_t>(b)];
    const at::Tensor labels = own.labels.to(at::kCPU);
    for (const CondInstPositive& p : condinst_targets(own, levels, config_)) {
      const auto l = static_cast<size_t>(p.level);
      location.push_back(b * first.back() + first[l] + p.row * levels[l].width + p.column);
      instance.push_back(p.instance);
      all_labels[static_cast<size_t>(location.back())] = labels[p.instance].item<int64_t>();
      distances.insert(distances.end(), p.distances, p.distances + 4);
      anchor.insert(anchor.end(), {on_pixel(p.column, p.level), on_pixel(p.row, p.level), static_cast<float>(p.level)});
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
  const auto targets = std::make_shared<CondInstTargets>();
  targets->labels = integers(all_labels);
  targets->positives = integers(location);
  targets->distances = floats(distances, 4);
  Rng rng(encoded.frame.draw, "condinst positives");
  std::vector<int64_t> kept = rng.sample(count, config_.max_positives);
  std::sort(kept.begin(), kept.end());
  const at::Tensor rows = integers(kept);
  const at::Tensor at = targets->positives.index_select(0, rows);
  Queries queries;
  queries.image = at.div(first.back(), "floor");
  queries.instance = integers(instance).index_select(0, rows);
  queries.label = targets->labels.index_select(0, at);
  queries.anchor = floats(anchor, 3).index_select(0, rows);
  queries.vectors = to_rows(heads.controllers).flatten(0, 1).index_select(0, at);  // [Q, Dq]
  queries.targets = targets;
  const torch::NoGradGuard guard;
  const at::Tensor logits = to_rows(heads.classes).flatten(0, 1).index({at, queries.label});
  const at::Tensor central = to_rows(heads.centerness).flatten().index_select(0, at);
  queries.score = at::sqrt(at::sigmoid(logits) * at::sigmoid(central));
  return queries;
}

Losses CondInst::do_base_losses(const Encoded& encoded, const Queries& queries,
                                const std::vector<view::Instances>& truth) {
  const auto& heads = own_state<CondInstHeads>(encoded.heads);
  const auto& targets = own_state<CondInstTargets>(queries.targets);
  const at::Tensor& positives = targets.positives;
  const double count = static_cast<double>(std::max<int64_t>(1, positives.size(0)));
  const at::Tensor logits = to_rows(heads.classes).flatten(0, 1);                                    // [B * L, C]
  const at::Tensor boxes = to_rows(heads.distances).flatten(0, 1).index_select(0, positives);       // [P, 4]
  const at::Tensor central = to_rows(heads.centerness).flatten().index_select(0, positives);        // [P]
  const at::Tensor wanted = centerness(targets.distances);
  const at::Tensor cross_entropy = at::binary_cross_entropy_with_logits(central, wanted, {}, {}, at::Reduction::Sum);
  Losses losses = {{"class", class_loss_sum(logits, targets.labels) / count},
                   {"box", (giou_loss(boxes, targets.distances) * wanted).sum() / wanted.sum().clamp_min(1e-6)},
                   {"centerness", cross_entropy / count},
                   {"mask", mask_loss(queries, encoded.mask_features, truth, {})}};
  if (config_.semantic_loss) losses.emplace_back("semantic", semantic_loss(encoded, truth));
  return losses;
}

at::Tensor CondInst::semantic_loss(const Encoded& encoded, const std::vector<view::Instances>& truth) {
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

at::Tensor CondInst::do_mask_loss(const Queries& queries, const at::Tensor& mask_features,
                                  const std::vector<view::Instances>& truth, const at::Tensor& valid) {
  const int64_t factor = kStride / config_.mask_out_stride;
  return mean_by_image(queries, mask_features, [&](const Queries& own, int64_t b) {
    const at::Tensor logits = do_mask_logits(own, mask_features[b]);
    const at::Tensor large = aligned_bilinear(logits.unsqueeze(1), factor).flatten(1);  // [Qb, H*W]
    const at::Tensor all = truth[static_cast<size_t>(b)].masks.to(mask_features.device());
    const at::Tensor masks = every(all, config_.mask_out_stride).flatten(1);  // [N, H*W]
    at::Tensor weight;
    if (valid.defined()) {  // a pixel counts when all cells it is made of do
      const at::Tensor cells = valid[b].to(logits.scalar_type()).view({1, 1, logits.size(1), logits.size(2)});
      weight = (aligned_bilinear(cells, factor) > 0.999).flatten(1).to(logits.scalar_type());
    }
    return dice_loss(large, masks.index_select(0, own.instance), weight, kMaskEps / 2);  // dice_loss adds it twice
  });
}

at::Tensor CondInst::sizes_of(const at::Tensor& level) const {
  std::vector<float> sizes;
  for (size_t l = 0; l < kHeadLevels; ++l) sizes.push_back(static_cast<float>(config_.size_of_level(l)));
  return torch::tensor(sizes, at::kFloat).to(level.device()).index_select(0, level.to(at::kLong));
}

RelativeCoordinates CondInst::relative_to(const at::Tensor& anchor, const at::Tensor& pixels) const {
  const at::Tensor sizes = sizes_of(anchor.select(1, 2)).unsqueeze(1);  // [Q, 1]
  return {pixels, anchor.slice(1, 0, 2) / sizes, -1 / sizes};
}

at::Tensor CondInst::do_mask_logits(const Queries& queries, const at::Tensor& map) {
  const int64_t height = map.size(1), width = map.size(2);
  const auto axis = [&](int64_t count) { return at::arange(count, queries.anchor.options()) * kStride + kStride / 2; };
  const at::Tensor x = axis(width).view({1, width}).expand({height, width});
  const at::Tensor y = axis(height).view({height, 1}).expand({height, width});
  const RelativeCoordinates coordinates = relative_to(queries.anchor, at::stack({x, y}).flatten(1));
  return dynamic_masks(queries.vectors, map.flatten(1), coordinates, config_.dynamic_channels).view({-1, height, width});
}

at::Tensor CondInst::do_pixel_logits(const Queries& queries, const PixelSet& pixels) {
  const auto coordinates = [&](const PixelSet& some) -> RelativeCoordinates {
    const at::Tensor at = (some.position + kStride / 2).t();  // [2, P]
    if (config_.foreign_coordinates == "overlay") return relative_to(queries.anchor, at);
    const at::Tensor own = (some.anchor.slice(1, 0, 2).t() - at) / sizes_of(some.anchor.select(1, 2));
    const double scale = config_.foreign_coordinates == "zero" ? 0 : 1;
    return {own, at::zeros({1, 2}, own.options()), at::full({1, 1}, scale, own.options())};
  };
  const int64_t per_pixel = std::max<int64_t>(1, queries.count() * config_.dynamic_channels);
  const int64_t block = std::max<int64_t>(1, kHiddenAtOnce / per_pixel);
  std::vector<at::Tensor> logits;
  for (int64_t first = 0; first == 0 || first < pixels.count(); first += block) {
    const PixelSet some = pixels.slice(first, std::min(first + block, pixels.count()));
    logits.push_back(dynamic_masks(queries.vectors, some.embeddings.t(), coordinates(some), config_.dynamic_channels));
  }
  return logits.size() == 1 ? logits[0] : at::cat(logits, 1);  // [Q, P]
}

at::Tensor CondInst::do_cells(const at::Tensor& masks) { return every(masks, kStride); }

std::vector<Prediction> CondInst::do_predict(const Encoded& encoded) {
  const auto& heads = own_state<CondInstHeads>(encoded.heads);
  std::vector<at::Tensor> scores;
  for (size_t l = 0; l < kHeadLevels; ++l) scores.push_back(at::sigmoid(heads.classes[l]) * at::sigmoid(heads.centerness[l]));
  std::vector<Prediction> predictions;
  for (int64_t b = 0; b < encoded.mask_features.size(0); ++b) predictions.push_back(predict_one(encoded, scores, b));
  return predictions;
}

Prediction CondInst::predict_one(const Encoded& encoded, const std::vector<at::Tensor>& maps, int64_t image) {
  const auto& heads = own_state<CondInstHeads>(encoded.heads);
  std::vector<at::Tensor> score_of, label_of, location_of;
  int64_t begin = 0;
  for (size_t l = 0; l < kHeadLevels; ++l) {
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
  const at::Tensor anchor = all_anchors(heads.classes).to(location.device()).index_select(0, location);  // [K, 3]
  const at::Tensor distances = to_rows(heads.distances)[image].index_select(0, location);
  const at::Tensor stride = at::bitwise_left_shift(at::Scalar(kStride), anchor.slice(1, 2, 3).to(at::kLong));  // [K, 1]
  const at::Tensor points = anchor.slice(1, 0, 2);
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
  Queries queries;
  queries.vectors = to_rows(heads.controllers)[image].index_select(0, location.index_select(0, rows));
  queries.anchor = anchor.index_select(0, rows);
  const at::Tensor logits = do_mask_logits(queries, encoded.mask_features[image]);
  const at::Tensor large = aligned_bilinear(logits.unsqueeze(1), kStride / config_.mask_out_stride).squeeze(1);
  return {scores.index_select(0, rows), labels.index_select(0, rows), at::sigmoid(large), config_.mask_threshold};
}

at::Tensor CondInst::do_to_canvas(const at::Tensor& masks, view::Size canvas) {
  return aligned_bilinear(masks.unsqueeze(1), canvas.height / masks.size(1)).squeeze(1);
}

}  // namespace iuq::model
