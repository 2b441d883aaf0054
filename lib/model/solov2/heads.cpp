#include "lib/model/solov2/heads.h"

#include <torch/types.h>

#include <cmath>

#include "lib/base/error.h"

namespace iuq::model {
namespace {

nn::ConvImpl::Options conv(int64_t in, int64_t out, int64_t kernel, bool bias, double bias_value = 0) {
  return {in, out, kernel, 1, bias, nn::NormKind::kNone, nn::ConvInit::kSmall, bias_value};
}

const double kGridPrior = -std::log(99.0);  // bias of a class score that starts at 0.01

}  // namespace

Solov2InstanceHeadImpl::Solov2InstanceHeadImpl(const Solov2Config& config, int64_t classes) : grids_(config.grids) {
  category_ = add_tower("cate_tower", config.channels, config);
  kernel_ = add_tower("kernel_tower", config.channels + 2, config);
  category_out_ = register_module("cate_pred", nn::Conv(conv(config.head_channels, classes, 3, true, kGridPrior)));
  kernel_out_ = register_module("kernel_pred", nn::Conv(conv(config.head_channels, config.embedding, 3, true)));
}

// Children 0 conv, 1 norm, (2 relu), 3 conv, ... as in the reference's Sequential.
Solov2InstanceHeadImpl::Tower Solov2InstanceHeadImpl::add_tower(const char* name, int64_t in,
                                                                const Solov2Config& config) {
  const auto owner = register_module(name, std::make_shared<torch::nn::Module>(name));
  Tower tower;
  for (int64_t i = 0; i < config.head_convs; ++i) {
    const int64_t from = i == 0 ? in : config.head_channels;
    tower.emplace_back(
        owner->register_module(std::to_string(3 * i), nn::Conv(conv(from, config.head_channels, 3, false))),
        owner->register_module(std::to_string(3 * i + 1), torch::nn::GroupNorm(config.groups, config.head_channels)));
  }
  return tower;
}

at::Tensor Solov2InstanceHeadImpl::run(const Tower& tower, at::Tensor x) {
  for (const auto& [layer, norm] : tower) {
    x = torch::nn::GroupNorm(norm)->forward(nn::Conv(layer)->forward(x)).relu_();
  }
  return x;
}

std::vector<at::Tensor> split_levels(const std::vector<at::Tensor>& neck) {
  IUQ_ASSERT(neck.size() == 5);
  std::vector<at::Tensor> levels = neck;
  levels[0] = nn::resize_bilinear(neck[0], neck[0].size(2) / 2, neck[0].size(3) / 2);
  levels[4] = nn::resize_bilinear(neck[4], neck[3].size(2), neck[3].size(3));
  return levels;
}

GridHeads Solov2InstanceHeadImpl::forward(const std::vector<at::Tensor>& neck) {
  const std::vector<at::Tensor> levels = split_levels(neck);
  GridHeads heads;
  for (size_t l = 0; l < levels.size(); ++l) {
    const at::Tensor cells = nn::resize_bilinear(nn::with_coordinates(levels[l]), grids_[l], grids_[l]);
    const int64_t channels = levels[l].size(1);
    heads.kernels.push_back(kernel_out_->forward(run(kernel_, cells)));
    heads.classes.push_back(category_out_->forward(run(category_, cells.slice(1, 0, channels))));
  }
  return heads;
}

Solov2MaskHeadImpl::Solov2MaskHeadImpl(const GridConfig& config, bool with_coordinates)
    : with_coordinates_(with_coordinates) {
  const auto all = register_module("convs_all_levels", std::make_shared<torch::nn::Module>("convs_all_levels"));
  for (int64_t l = 0; l < 4; ++l) {
    const auto level = all->register_module(std::to_string(l), std::make_shared<torch::nn::Module>("level"));
    auto& steps = levels_.emplace_back();
    for (int64_t j = 0; j < std::max<int64_t>(l, 1); ++j) {
      const auto step = level->register_module(cat("conv", j), std::make_shared<torch::nn::Module>("step"));
      const int64_t in = j > 0 ? config.mask_channels : config.channels + (l == 3 && with_coordinates ? 2 : 0);
      steps.push_back({step->register_module("0", nn::Conv(conv(in, config.mask_channels, 3, false))),
                       step->register_module("1", torch::nn::GroupNorm(config.groups, config.mask_channels))});
    }
  }
  const auto out = register_module("conv_pred", std::make_shared<torch::nn::Module>("conv_pred"));
  out_ = out->register_module("0", nn::Conv(conv(config.mask_channels, config.embedding, 1, false)));
  out_norm_ = out->register_module("1", torch::nn::GroupNorm(config.groups, config.embedding));
}

at::Tensor Solov2MaskHeadImpl::forward(const std::vector<at::Tensor>& neck) {
  at::Tensor sum;
  for (size_t l = 0; l < levels_.size(); ++l) {
    at::Tensor x = l == 3 && with_coordinates_ ? nn::with_coordinates(neck[l]) : neck[l];
    for (auto& step : levels_[l]) {
      x = step.norm->forward(step.conv->forward(x)).relu_();
      if (l > 0) x = nn::resize_bilinear(x, 2 * x.size(2), 2 * x.size(3));
    }
    sum = sum.defined() ? sum + x : x;
  }
  return out_norm_->forward(out_->forward(sum)).relu_();  // [B, D, H, W]
}

}  // namespace iuq::model
