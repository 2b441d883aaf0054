#include "lib/nn/swin.h"

#include <torch/types.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/nn/swin_block.h"

namespace iuq::nn {
namespace {

constexpr int64_t kPatch = 4;
constexpr size_t kPlans = 16;  // map sizes, times two, whose windows a stage remembers

// The published sizes. Source: REFERENCE.md 3.1.
const std::map<std::string, SwinConfig>& sizes() {
  static const std::map<std::string, SwinConfig> table = {
      {"swin_t", {"swin_t", 96, {2, 2, 6, 2}, {3, 6, 12, 24}, 7}},
      {"swin_s", {"swin_s", 96, {2, 2, 18, 2}, {3, 6, 12, 24}, 7}},
      {"swin_b", {"swin_b", 128, {2, 2, 18, 2}, {4, 8, 16, 32}, 12}},
      {"swin_l", {"swin_l", 192, {2, 2, 18, 2}, {6, 12, 24, 48}, 12}}};
  return table;
}

// 4x4 patches, each multiplied with one matrix.
class PatchProjImpl : public torch::nn::Module, public Initialised {
 public:
  explicit PatchProjImpl(int64_t channels) {
    weight_ = register_parameter("weight", torch::zeros({channels, 3, kPatch, kPatch}));
    bias_ = register_parameter("bias", torch::zeros({channels}));
  }
  // [B, 3, Hi, Wi] -> [B, C, H, W]; the memory is [B, H, W, C], what tokens are
  at::Tensor forward(const at::Tensor& images) {
    return at::conv2d(images.contiguous(at::MemoryFormat::ChannelsLast), weight_, bias_, kPatch);
  }
  void init_(at::Generator generator) override {
    const torch::NoGradGuard guard;
    const double bound = 1 / std::sqrt(3.0 * kPatch * kPatch);
    weight_.uniform_(-bound, bound, generator);
    bias_.uniform_(-bound, bound, generator);
  }
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_, bias_;
};

}  // namespace

std::vector<std::string> SwinConfig::names() {
  std::vector<std::string> names;
  for (const auto& [name, config] : sizes()) names.push_back(name);
  return names;
}

ConfigFields SwinConfig::fields() {
  return {
      {"name", &name, "which published size", Range::one_of(names())},
      {"embed", &embed, "channels of the first stage; each stage has twice those of the last", Range::closed(1, 1024)},
      {"depths", &depths, "blocks of the stages", Range::closed(0, 100).items(4)},
      {"heads", &heads, "attention heads of the stages; published sizes have 32 channels in each", Range::at_least(1).items(4)},
      {"window", &window, "tokens per side of a window; 12 for swin_b and swin_l", Range::closed(2, 64)},
      {"drop_path", &drop_path,
       "chance that the last block is skipped in training; falls linearly to 0 at the first", Range::right_open(0, 1)},
      {"freeze", &freeze, "parts that do not train: 0 none, 1 the patches, 2 and the first stage, ... 5 all",
       Range::closed(0, 5)},
  };
}

void SwinConfig::check() const {
  check_ranges(*this);
  for (size_t s = 0; s < 4; ++s) {
    check_config((embed << s) % heads[s] == 0, "model.backbone.heads", heads[s],
                 cat("a divisor of the ", embed << s, " channels of its stage"));
  }
}

void SwinConfig::take_name(const std::string& size) {
  if (sizes().count(size) > 0) *this = sizes().at(size);
}

std::vector<double> SwinConfig::drop_rates() const {
  const int64_t blocks = std::accumulate(depths.begin(), depths.end(), int64_t{0});
  std::vector<double> rates;
  for (int64_t b = 0; b < blocks; ++b) {
    rates.push_back(blocks > 1 ? drop_path * static_cast<double>(b) / static_cast<double>(blocks - 1) : 0);
  }
  return rates;
}

class SwinImpl::Stage : public torch::nn::Module {
 public:
  Stage(int64_t channels, int64_t depth, int64_t heads, int64_t side, bool merges) : side_(side) {
    const auto owner = register_module("blocks", std::make_shared<torch::nn::Module>("blocks"));
    for (int64_t b = 0; b < depth; ++b) {
      blocks_.push_back(owner->register_module(std::to_string(b), SwinBlock(channels, heads, side)));
    }
    if (merges) merging_ = register_module("downsample", PatchMerging(channels));
  }

  // kept [2 * depth, B] or undefined
  at::Tensor forward(at::Tensor x, view::Size map, const at::Tensor& kept) {
    for (size_t b = 0; b < blocks_.size(); ++b) {
      const auto first = static_cast<int64_t>(2 * b);
      const WindowPlan& plan = plan_of(map, b % 2 == 1 ? side_ / 2 : 0, x.device());
      x = blocks_[b]->forward(x, plan, kept.defined() ? kept.narrow(0, first, 2) : kept);
    }
    return x;
  }
  at::Tensor merge(const at::Tensor& x, int64_t batch, view::Size& map) { return merging_->forward(x, batch, map); }
  bool merges() const { return !merging_.is_empty(); }

 private:
  struct Known {
    view::Size map;
    int64_t shift;
    c10::Device device;
    WindowPlan plan;
  };

  const WindowPlan& plan_of(view::Size map, int64_t shift, c10::Device device) {
    for (const Known& known : known_) {
      if (known.map == map && known.shift == shift && known.device == device) return known.plan;
    }
    if (known_.size() == 2 * kPlans) known_.erase(known_.begin());
    known_.push_back({map, shift, device, plan_windows(map, side_, shift, device)});
    return known_.back().plan;
  }

  int64_t side_;
  std::vector<SwinBlock> blocks_;
  PatchMerging merging_{nullptr};
  std::vector<Known> known_;
};

SwinImpl::SwinImpl(const SwinConfig& config) : config_(config) {
  const auto freeze = [&](torch::nn::Module& part, int64_t from) {
    for (at::Tensor& parameter : part.parameters()) parameter.set_requires_grad(config.freeze < from);
  };
  const auto patch = register_module("patch_embed", std::make_shared<torch::nn::Module>("patch_embed"));
  patch_proj_ = patch->register_module("proj", std::make_shared<PatchProjImpl>(config.embed));
  patch_norm_ = patch->register_module("norm", torch::nn::LayerNorm(std::vector<int64_t>{config.embed}));
  freeze(*patch, 1);
  const auto layers = register_module("layers", std::make_shared<torch::nn::Module>("layers"));
  for (size_t s = 0; s < 4; ++s) {
    stages_.push_back(layers->register_module(
        std::to_string(s), std::make_shared<Stage>(channels()[s], config.depths[s], config.heads[s], config.window, s < 3)));
    norms_.push_back(register_module(cat("norm", s), torch::nn::LayerNorm(std::vector<int64_t>{channels()[s]})));
    freeze(*stages_[s], static_cast<int64_t>(s) + 2);
    freeze(*norms_[s], static_cast<int64_t>(s) + 2);
  }
}

std::vector<int64_t> SwinImpl::channels() const {
  return {config_.embed, config_.embed * 2, config_.embed * 4, config_.embed * 8};
}

// [B, 3, Hi, Wi] -> tokens [B * H * W, C]
at::Tensor SwinImpl::embed(const at::Tensor& images, view::Size& map) {
  auto& proj = static_cast<PatchProjImpl&>(*patch_proj_);
  at::Tensor x = images.to(proj.weight().scalar_type());
  const view::Size size{images.size(2), images.size(3)};
  const view::Size padded = view::round_up(size, kPatch);
  if (padded != size) x = at::constant_pad_nd(x, {0, padded.width - size.width, 0, padded.height - size.height});
  map = {padded.height / kPatch, padded.width / kPatch};
  return patch_norm_->forward(proj.forward(x).permute({0, 2, 3, 1}).reshape({-1, config_.embed}));
}

// What each branch of each block is multiplied with: 0, or 1 / (1 - rate) so that the mean stays. [2 * blocks, B]
at::Tensor SwinImpl::draw_kept(int64_t batch, const at::Tensor& like) {
  std::vector<float> kept;
  const std::vector<double> rates = config_.drop_rates();
  int64_t block = 0;
  for (size_t s = 0; s < 4; ++s) {
    const bool frozen = config_.freeze >= static_cast<int64_t>(s) + 2;
    for (int64_t b = 0; b < config_.depths[s]; ++b, ++block) {
      const double rate = frozen ? 0 : rates[static_cast<size_t>(block)];
      for (int64_t i = 0; i < 2 * batch; ++i) {
        kept.push_back(rng_.uniform() < rate ? 0 : static_cast<float>(1 / (1 - rate)));
      }
    }
  }
  return torch::tensor(kept, at::kFloat).view({2 * block, batch}).to(like.options());
}

std::vector<at::Tensor> SwinImpl::forward(const at::Tensor& images) {
  const int64_t batch = images.size(0);
  view::Size map;
  at::Tensor x = embed(images, map);
  const at::Tensor kept = is_training() && config_.drop_path > 0 ? draw_kept(batch, x) : at::Tensor();
  std::vector<at::Tensor> outputs;
  int64_t first = 0;
  for (size_t s = 0; s < stages_.size(); ++s) {
    const int64_t count = 2 * config_.depths[s];
    const bool drops = kept.defined() && config_.freeze < static_cast<int64_t>(s) + 2;
    x = stages_[s]->forward(x, map, drops ? kept.narrow(0, first, count) : at::Tensor());
    first += count;
    outputs.push_back(norms_[s]
                          ->forward(x)
                          .view({batch, map.height, map.width, -1})
                          .permute({0, 3, 1, 2})
                          .to(images.scalar_type())
                          .contiguous());
    if (stages_[s]->merges()) x = stages_[s]->merge(x, batch, map);
  }
  return outputs;
}

}  // namespace iuq::nn
