#include "lib/nn/swin_block.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"

namespace iuq::nn {
namespace {

constexpr double kDeviation = 0.02;
// Rows that one core works on at a time when nothing is recorded for a gradient: what lies between the layers of a block
// then stays in the core's cache, and a large image needs little memory beside its maps.
constexpr int64_t kRowsAtOnce = 1024;

int64_t rows_at_once(const at::Tensor& x) {
  return x.is_cpu() ? kRowsAtOnce * std::max<int64_t>(at::get_num_threads(), 1) : x.size(0);
}

}  // namespace

void SwinLinearImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  auto own = named_parameters(/*recurse=*/false);
  own["weight"].normal_(0, kDeviation, generator);
  if (own.contains("bias")) own["bias"].zero_();
}

WindowAttentionImpl::WindowAttentionImpl(int64_t channels, int64_t heads, int64_t side)
    : heads_(heads), slots_(side * side), position_(relative_positions(side)) {
  table_ = register_parameter("relative_position_bias_table", torch::zeros({(2 * side - 1) * (2 * side - 1), heads}));
  qkv_ = register_module("qkv", SwinLinear(channels, 3 * channels));
  proj_ = register_module("proj", SwinLinear(channels, channels));
}

void WindowAttentionImpl::init_(at::Generator generator) {
  const torch::NoGradGuard guard;
  table_.normal_(0, kDeviation, generator);
}

at::Tensor WindowAttentionImpl::bias(const WindowPlan& plan) {
  if (position_.device() != table_.device()) position_ = position_.to(table_.device());
  const at::Tensor bias = table_.index_select(0, position_).view({slots_, slots_, heads_}).permute({2, 0, 1});
  return plan.mask.defined() ? bias.unsqueeze(0) + plan.mask.to(bias.scalar_type()) : bias.unsqueeze(0);
}

at::Tensor WindowAttentionImpl::mix(const at::Tensor& rows, const at::Tensor& bias, const at::Tensor& kind) {
  const int64_t channels = rows.size(1), width = channels / heads_, windows = rows.size(0) / slots_;
  const at::Tensor qkv = qkv_->forward(rows)
                             .view({windows, slots_, 3, heads_, width})
                             .permute({2, 0, 3, 1, 4})
                             .reshape({3, windows * heads_, slots_, width});  // [3, n * heads, N, width]
  const at::Tensor each = kind.defined() ? bias.index_select(0, kind) : bias.expand({windows, -1, -1, -1}).contiguous();
  at::Tensor scores = each.view({windows * heads_, slots_, slots_});
  scores.baddbmm_(qkv[0], qkv[1].transpose(1, 2), /*beta=*/1, /*alpha=*/1 / std::sqrt(static_cast<double>(width)));
  return at::bmm(at::softmax(scores, -1), qkv[2])
      .view({windows, heads_, slots_, width})
      .transpose(1, 2)
      .reshape({windows * slots_, channels});
}

SwinBlockImpl::SwinBlockImpl(int64_t channels, int64_t heads, int64_t side) {
  norm1_ = register_module("norm1", torch::nn::LayerNorm(std::vector<int64_t>{channels}));
  attention_ = register_module("attn", WindowAttention(channels, heads, side));
  norm2_ = register_module("norm2", torch::nn::LayerNorm(std::vector<int64_t>{channels}));
  const auto owner = register_module("mlp", std::make_shared<torch::nn::Module>("mlp"));
  fc1_ = owner->register_module("fc1", SwinLinear(channels, 4 * channels));
  fc2_ = owner->register_module("fc2", SwinLinear(4 * channels, channels));
}

at::Tensor SwinBlockImpl::forward(const at::Tensor& x, const WindowPlan& plan, const at::Tensor& kept) {
  const std::vector<at::Tensor> own = parameters();
  const bool trains = x.requires_grad() ||
                      std::any_of(own.begin(), own.end(), [](const at::Tensor& parameter) { return parameter.requires_grad(); });
  if ((trains && at::GradMode::is_enabled()) || kept.defined()) return forward_recorded(x, plan, kept);
  at::Tensor out = x;
  add_attention_(out, plan);
  add_mlp_(out);
  return out;
}

at::Tensor SwinBlockImpl::mlp(const at::Tensor& rows) {
  at::Tensor hidden = fc1_->forward(norm2_->forward(rows));
  return fc2_->forward(hidden.requires_grad() ? at::gelu(hidden) : at::gelu_(hidden));
}

at::Tensor SwinBlockImpl::forward_recorded(const at::Tensor& x, const WindowPlan& plan, const at::Tensor& kept) {
  const int64_t tokens = plan.slot.size(0), batch = x.size(0) / tokens;
  const auto add = [&](const at::Tensor& to, const at::Tensor& branch, int64_t which) {
    if (!kept.defined()) return to + branch;
    return (to.view({batch, -1}) + branch.view({batch, -1}) * kept[which].unsqueeze(1)).view(to.sizes());
  };
  const at::Tensor rows = to_windows(norm1_->forward(x), plan);
  const at::Tensor kind = plan.kind.defined() ? plan.kind.repeat({batch}) : at::Tensor();
  const at::Tensor mixed = attention_->project(attention_->mix(rows, attention_->bias(plan), kind));
  const at::Tensor y = add(x, from_windows(mixed, plan), 0);
  return add(y, mlp(y), 1);
}

// The same as above, window by window in place.
void SwinBlockImpl::add_attention_(at::Tensor& x, const WindowPlan& plan) {
  const torch::NoGradGuard guard;
  const int64_t tokens = plan.slot.size(0), batch = x.size(0) / tokens, slots = plan.slots;
  const int64_t at_once = std::max<int64_t>(rows_at_once(x) / slots, 1);
  const at::Tensor bias = attention_->bias(plan);
  at::Tensor mixed = at::empty({plan.windows * slots, x.size(1)}, x.options());
  for (int64_t b = 0; b < batch; ++b) {
    at::Tensor image = x.narrow(0, b * tokens, tokens);
    for (int64_t begin = 0; begin < plan.windows; begin += at_once) {
      const int64_t count = std::min(at_once, plan.windows - begin), first = begin * slots, last = first + count * slots;
      at::Tensor rows = norm1_->forward(image.index_select(0, plan.token.narrow(0, first, count * slots)));
      const auto pad = std::lower_bound(plan.pad_list.begin(), plan.pad_list.end(), first) - plan.pad_list.begin();
      const auto end = std::lower_bound(plan.pad_list.begin(), plan.pad_list.end(), last) - plan.pad_list.begin();
      if (pad < end) rows.index_fill_(0, plan.pads.slice(0, pad, end) - first, 0);
      const at::Tensor kind = plan.kind.defined() ? plan.kind.narrow(0, begin, count) : at::Tensor();
      mixed.narrow(0, first, count * slots).copy_(attention_->project(attention_->mix(rows, bias, kind)));
    }
    image.add_(mixed.index_select(0, plan.slot));
  }
}

void SwinBlockImpl::add_mlp_(at::Tensor& x) {
  const torch::NoGradGuard guard;
  const int64_t at_once = rows_at_once(x);
  for (int64_t begin = 0; begin < x.size(0); begin += at_once) {
    at::Tensor rows = x.narrow(0, begin, std::min(at_once, x.size(0) - begin));
    rows.add_(mlp(rows));
  }
}

PatchMergingImpl::PatchMergingImpl(int64_t channels) {
  norm_ = register_module("norm", torch::nn::LayerNorm(std::vector<int64_t>{4 * channels}));
  reduction_ = register_module("reduction", SwinLinear(4 * channels, 2 * channels, /*bias=*/false));
}

at::Tensor PatchMergingImpl::forward(const at::Tensor& x, int64_t batch, view::Size& map) {
  const int64_t channels = x.size(1);
  const view::Size padded = view::round_up(map, 2);
  at::Tensor maps = x.view({batch, map.height, map.width, channels});
  if (padded != map) maps = at::constant_pad_nd(maps, {0, 0, 0, padded.width - map.width, 0, padded.height - map.height});
  map = {padded.height / 2, padded.width / 2};
  // The four phases (0,0), (1,0), (0,1), (1,1) of (row, column), one after the other.
  const at::Tensor phases = maps.view({batch, map.height, 2, map.width, 2, channels})
                                .permute({0, 1, 3, 4, 2, 5})
                                .reshape({batch * map.height * map.width, 4 * channels});
  return reduction_->forward(norm_->forward(phases));
}

}  // namespace iuq::nn
