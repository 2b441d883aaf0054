#include "lib/model/condinst/heads.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"

namespace iuq::model {
namespace {

const double kFcosPrior = -std::log(99.0);  // bias of a class score that starts at 0.01

at::Tensor interpolated(const at::Tensor& x, int64_t factor) {
  const int64_t height = factor * x.size(2);
  const int64_t width = factor * x.size(3);
  const at::Tensor padded = at::replication_pad2d(x, {0, 1, 0, 1});
  const at::Tensor large = at::upsample_bilinear2d(padded, {height + 1, width + 1}, /*align_corners=*/true);
  return at::replication_pad2d(large, {factor / 2, 0, factor / 2, 0}).slice(2, 0, height).slice(3, 0, width);
}

// The same along one axis, [H] -> [fH], as a matrix [H, fH] float32: what becomes of each single cell.
at::Tensor interpolating_matrix(int64_t size, int64_t factor, const at::TensorOptions& options) {
  const at::Tensor cells = at::eye(size, options.requires_grad(false)).view({1, size, 1, size});
  return interpolated(cells, factor)[0].select(1, 0);
}

nn::ConvImpl::Options small(int64_t in, int64_t out, double bias_value = 0) {
  return {in, out, 3, 1, true, nn::NormKind::kNone, nn::ConvInit::kSmall, bias_value};
}

}  // namespace

FcosHeadImpl::FcosHeadImpl(const CondInstConfig& config, int64_t classes) {
  class_tower_ = add_tower("cls_tower", config);
  box_tower_ = add_tower("bbox_tower", config);
  class_out_ = register_module("cls_logits", nn::Conv(small(config.channels, classes, kFcosPrior)));
  box_out_ = register_module("bbox_pred", nn::Conv(small(config.channels, 4)));
  centerness_out_ = register_module("ctrness", nn::Conv(small(config.channels, 1)));
  const auto owner = register_module("scales", std::make_shared<torch::nn::Module>("scales"));
  for (size_t l = 0; l <= config.sizes.size(); ++l) {
    const auto level = owner->register_module(std::to_string(l), std::make_shared<torch::nn::Module>("scale"));
    scales_.push_back(level->register_parameter("scale", torch::ones({1})));
  }
}

// Children 0 conv, 1 norm, (2 relu), 3 conv, ... as in the reference's Sequential.
FcosHeadImpl::Tower FcosHeadImpl::add_tower(const char* name, const CondInstConfig& config) {
  const auto owner = register_module(name, std::make_shared<torch::nn::Module>(name));
  Tower tower;
  for (int64_t i = 0; i < config.head_convs; ++i) {
    tower.emplace_back(
        owner->register_module(std::to_string(3 * i), nn::Conv(small(config.channels, config.channels))),
        owner->register_module(std::to_string(3 * i + 1), torch::nn::GroupNorm(config.groups, config.channels)));
  }
  return tower;
}

CondInstHeads FcosHeadImpl::forward(const std::vector<at::Tensor>& neck, const nn::Conv& controller) {
  IUQ_ASSERT(neck.size() == scales_.size());
  const auto run = [](const Tower& tower, at::Tensor x) {
    for (const auto& [layer, norm] : tower) x = torch::nn::GroupNorm(norm)->forward(nn::Conv(layer)->forward(x)).relu_();
    return x;
  };
  CondInstHeads heads;
  for (size_t l = 0; l < neck.size(); ++l) {
    const at::Tensor box = run(box_tower_, neck[l]);
    heads.classes.push_back(class_out_->forward(run(class_tower_, neck[l])));
    heads.distances.push_back((box_out_->forward(box) * scales_[l]).relu_());
    heads.centerness.push_back(centerness_out_->forward(box));
    heads.controllers.push_back(nn::Conv(controller)->forward(box));
  }
  return heads;
}

CondInstMaskBranchImpl::CondInstMaskBranchImpl(const CondInstConfig& config, int64_t classes) {
  const auto refine = register_module("refine", std::make_shared<torch::nn::Module>("refine"));
  for (int l = 0; l < 3; ++l) add_block(refine_, *refine, std::to_string(l), config.channels, config.mask_channels);
  const auto tower = register_module("tower", std::make_shared<torch::nn::Module>("tower"));
  for (int64_t i = 0; i < config.mask_convs; ++i) {
    add_block(tower_, *tower, std::to_string(i), config.mask_channels, config.mask_channels);
  }
  const auto last = [&](int64_t out, double bias) {
    return nn::Conv(nn::ConvImpl::Options{config.mask_channels, out, 1, 1, true, nn::NormKind::kNone,
                                          nn::ConvInit::kPlain, bias});
  };
  out_ = tower->register_module(std::to_string(config.mask_convs), last(config.embedding, 0));
  if (!config.semantic_loss) return;
  const auto head = register_module("seg_head", std::make_shared<torch::nn::Module>("seg_head"));
  add_block(semantic_, *head, "0", config.channels, config.mask_channels);
  add_block(semantic_, *head, "1", config.mask_channels, config.mask_channels);
  semantic_out_ = register_module("logits", last(classes, kFcosPrior));
}

// Children 0 conv, 1 norm, (2 relu).
void CondInstMaskBranchImpl::add_block(Blocks& blocks, torch::nn::Module& owner, const std::string& name, int64_t in,
                                       int64_t out) {
  const auto block = owner.register_module(name, std::make_shared<torch::nn::Module>("block"));
  const nn::ConvImpl::Options options{in, out, 3, 1, false, nn::NormKind::kNone, nn::ConvInit::kXavierUniform, 0};
  blocks.emplace_back(block->register_module("0", nn::Conv(options)),
                      block->register_module("1", nn::Norm(out, nn::NormKind::kBatch)));
}

at::Tensor CondInstMaskBranchImpl::run(const std::pair<nn::Conv, nn::Norm>& block, const at::Tensor& x) {
  return nn::Norm(block.second)->forward(nn::Conv(block.first)->forward(x)).relu_();
}

at::Tensor CondInstMaskBranchImpl::forward(const std::vector<at::Tensor>& neck) {
  at::Tensor x = run(refine_[0], neck[0]);
  for (size_t l = 1; l < refine_.size(); ++l) {
    const at::Tensor coarse = run(refine_[l], neck[l]);
    x = x + aligned_bilinear(coarse, x.size(2) / coarse.size(2));
  }
  for (const auto& block : tower_) x = run(block, x);
  return out_->forward(x);  // [B, D, H, W]
}

at::Tensor CondInstMaskBranchImpl::semantic(const at::Tensor& p3) {
  IUQ_ASSERT(semantic_out_);
  return semantic_out_->forward(run(semantic_[1], run(semantic_[0], p3)));
}

at::Tensor dynamic_masks(const at::Tensor& queries, const at::Tensor& features, const RelativeCoordinates& coordinates,
                         int64_t hidden) {
  const int64_t count = queries.size(0);
  const int64_t width = features.size(0);
  const int64_t pixels = features.size(1);
  const std::vector<int64_t> sizes = {(width + 2) * hidden, hidden * hidden, hidden, hidden, hidden, 1};
  const auto part = at::split_with_sizes(queries, sizes, 1);
  const at::Tensor first = part[0].view({count, hidden, width + 2});  // inputs: x, y, then the features
  // What differs between queries goes into weights and biases, so that the first layer of all queries is one product.
  const at::Tensor by_axis = first.slice(2, 0, 2);
  const at::Tensor weights = at::cat({by_axis * coordinates.scale.unsqueeze(2), first.slice(2, 2)}, 2);
  const at::Tensor bias = part[3] + (by_axis * coordinates.offset.unsqueeze(1)).sum(2);  // [Q, hidden]
  const at::Tensor inputs = at::cat({coordinates.positions, features});                  // [D + 2, P]
  at::Tensor x = weights.reshape({count * hidden, width + 2}).matmul(inputs).view({count, hidden, pixels});
  x = x.add_(bias.unsqueeze(2));
  x = at::baddbmm(part[4].unsqueeze(2), part[1].view({count, hidden, hidden}), x.relu_());
  x = at::baddbmm(part[5].unsqueeze(2), part[2].view({count, 1, hidden}), x.relu_());
  return x.squeeze(1);  // [Q, P]
}

at::Tensor aligned_bilinear(const at::Tensor& x, int64_t factor) {
  constexpr int64_t kSmall = 64;  // cells; from there on the products are more work than to interpolate
  if (factor == 1) return x;
  const int64_t height = x.size(2), width = x.size(3);
  if (!x.is_cpu() || std::max(height, width) > kSmall) return interpolated(x, factor);
  // LibTorch's interpolation goes value by value on the CPU; of small maps, two products with the matrices of the same
  // operation are several times as fast.
  const at::Tensor columns = x.contiguous().matmul(interpolating_matrix(width, factor, x.options()));  // [B, C, H, fW]
  return interpolating_matrix(height, factor, x.options()).t().matmul(columns);
}

}  // namespace iuq::model
