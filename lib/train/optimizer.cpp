#include "lib/train/optimizer.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/nn/undecayed.h"
#include "lib/train/update_kernel.h"

namespace iuq::train {
namespace {

// One-dimensional weights belong to norm layers; a bias does when its layer's weight does.
bool is_norm(const std::string& name, const at::Tensor& parameter,
             const torch::OrderedDict<std::string, at::Tensor>& named) {
  const size_t dot = name.rfind('.');
  const std::string own = dot == std::string::npos ? name : name.substr(dot + 1);
  if (own == "weight") return parameter.dim() == 1;
  if (own != "bias") return false;
  const at::Tensor* weight = named.find(name.substr(0, name.size() - own.size()) + "weight");
  return weight && weight->dim() == 1;
}

std::set<std::string> undecayed_names(const torch::nn::Module& root) {
  std::set<std::string> names;
  for (const auto& item : root.named_modules("", /*include_self=*/false)) {
    const auto* const module = dynamic_cast<const nn::Undecayed*>(item.value().get());
    if (!module) continue;
    for (const std::string& own : module->undecayed()) names.insert(item.key() + "." + own);
  }
  return names;
}

// The constants of AdamW, which nobody tunes.
constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;

/// A parameter, how it is optimised, and what the optimiser remembers of it.
struct Slot {
  std::string name;
  at::Tensor parameter;
  double lr_factor, weight_decay;
  at::Tensor momentum;      // of sgd; undefined before the first step
  at::Tensor mean, square;  // of adamw: the moments of the gradient; likewise
  int64_t steps = 0;        // of adamw: how many it has had

  bool has_gradient() const { return parameter.grad().defined(); }
};

// Whether plain loops over memory may update it; otherwise LibTorch's operations do, as on other devices than the CPU.
bool is_plain(const Slot& slot) {
  const auto plain = [](const at::Tensor& t) {
    return !t.defined() || (t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous());
  };
  const at::Tensor& gradient = slot.parameter.grad();
  return plain(slot.parameter) && plain(gradient) && plain(slot.momentum) && plain(slot.mean) && plain(slot.square);
}

// body(slot, begin, end) over the values of all of `slots`, in stretches that are done by several threads.
void for_stretches(const std::vector<Slot*>& slots, const std::function<void(const Slot&, int64_t, int64_t)>& body) {
  constexpr int64_t kStretch = 1 << 15;
  struct Stretch {
    const Slot* slot;
    int64_t begin, end;
  };
  std::vector<Stretch> stretches;
  for (const Slot* slot : slots) {
    const int64_t count = slot->parameter.numel();
    for (int64_t i = 0; i < count; i += kStretch) stretches.push_back({slot, i, std::min(count, i + kStretch)});
  }
  // A small model's are done before a second thread would have begun.
  at::parallel_for(0, static_cast<int64_t>(stretches.size()), /*grain_size=*/64, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const Stretch& stretch = stretches[static_cast<size_t>(i)];
      body(*stretch.slot, stretch.begin, stretch.end);
    }
  });
}

float* data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

bool all_plain(const std::vector<Slot*>& slots) {
  return std::all_of(slots.begin(), slots.end(), [](const Slot* slot) { return is_plain(*slot); });
}

// The L2 norm of all gradients together, [] float32 on their device.
at::Tensor norm_of(const std::vector<Slot*>& slots) {
  if (slots.empty()) return at::zeros({});
  if (all_plain(slots)) {
    double sum = 0;
    for (const Slot* slot : slots) sum += sum_of_squares(data(slot->parameter.grad()), slot->parameter.numel());
    return at::full({}, std::sqrt(sum), at::kFloat);
  }
  std::vector<at::Tensor> norms;
  for (const Slot* slot : slots) norms.push_back(slot->parameter.grad().norm());
  return at::stack(norms).norm();
}

// Scales the gradients so that their norm is `limit` at most.
void clip(const std::vector<Slot*>& slots, const at::Tensor& norm, double limit) {
  const at::Tensor factor = (limit / (norm + 1e-6)).clamp_max(1.0);
  if (!all_plain(slots)) {  // without waiting for the device
    for (Slot* slot : slots) slot->parameter.mutable_grad().mul_(factor);
    return;
  }
  const auto value = factor.item<float>();
  if (value == 1) return;
  for_stretches(slots, [value](const Slot& slot, int64_t begin, int64_t end) {
    scale(data(slot.parameter.grad()) + begin, end - begin, value);
  });
}

void sgd_step(Slot& slot, double lr, double momentum) {
  at::Tensor gradient = slot.parameter.grad();
  if (slot.weight_decay != 0) gradient = gradient.add(slot.parameter, slot.weight_decay);
  if (momentum != 0) gradient = slot.momentum.mul_(momentum).add_(gradient);
  slot.parameter.add_(gradient, -lr);
}

// Moments that began at 0 are too small at first: lr and the scale of sqrt(square) that make up for it.
std::pair<double, double> corrected(const Slot& slot, double lr) {
  const auto steps = static_cast<double>(slot.steps);
  return {lr / (1 - std::pow(kBeta1, steps)), std::sqrt(1 - std::pow(kBeta2, steps))};
}

void adamw_step(Slot& slot, double lr) {
  const at::Tensor& gradient = slot.parameter.grad();
  const auto [rate, square_scale] = corrected(slot, lr);
  slot.parameter.mul_(1 - lr * slot.weight_decay);
  slot.mean.mul_(kBeta1).add_(gradient, 1 - kBeta1);
  slot.square.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  slot.parameter.addcdiv_(slot.mean, (slot.square.sqrt() / square_scale).add_(kEps), -rate);
}

AdamwFactors adamw_factors(const Slot& slot, double lr) {
  const auto single = [](double value) { return static_cast<float>(value); };
  const auto [rate, square_scale] = corrected(slot, lr);
  return {single(1 - lr * slot.weight_decay), single(kBeta1), single(1 - kBeta1), single(kBeta2), single(1 - kBeta2),
          single(rate), single(square_scale), single(kEps)};
}

}  // namespace

struct Optimizer::Impl {
  TrainConfig config;
  std::vector<Slot> slots;
  double lr = 0;  // of the step at hand, before the factors of the groups

  bool is_sgd() const { return config.optimizer == "sgd"; }

  void remember(Slot& slot) const {
    const auto fill = [&](at::Tensor& state) {
      if (!state.defined()) state = at::zeros_like(slot.parameter);
    };
    if (!is_sgd()) {
      fill(slot.mean), fill(slot.square);
      ++slot.steps;
    } else if (config.momentum != 0) {
      fill(slot.momentum);
    }
  }

  void update(const std::vector<Slot*>& slots_with_gradient) {
    std::vector<Slot*> plain;
    for (Slot* slot : slots_with_gradient) {
      remember(*slot);
      const double own_lr = lr * slot->lr_factor;
      if (is_plain(*slot)) {
        plain.push_back(slot);
      } else if (is_sgd()) {
        sgd_step(*slot, own_lr, config.momentum);
      } else {
        adamw_step(*slot, own_lr);
      }
    }
    for_stretches(plain, [&](const Slot& slot, int64_t begin, int64_t end) {
      const double own_lr = lr * slot.lr_factor;
      float* const value = data(slot.parameter) + begin;
      const float* const gradient = data(slot.parameter.grad()) + begin;
      if (is_sgd()) {
        const SgdFactors factors{static_cast<float>(own_lr), static_cast<float>(config.momentum),
                                 static_cast<float>(slot.weight_decay)};
        sgd_update(value, gradient, slot.momentum.defined() ? data(slot.momentum) + begin : nullptr, end - begin, factors);
      } else {
        adamw_update(value, gradient, data(slot.mean) + begin, data(slot.square) + begin, end - begin,
                     adamw_factors(slot, own_lr));
      }
    });
  }
};

std::vector<ParameterGroup> parameter_groups(const TrainConfig& config, const torch::nn::Module& module,
                                             const std::string& backbone_prefix) {
  const auto named = module.named_parameters();
  const std::set<std::string> undecayed = undecayed_names(module);
  std::map<std::pair<bool, bool>, ParameterGroup> groups;  // (backbone, decays like a norm)
  for (const auto& item : named) {
    const std::string& name = item.key();
    if (!item.value().requires_grad()) continue;
    const bool backbone = name.rfind(backbone_prefix, 0) == 0;
    const bool norm = is_norm(name, item.value(), named) || undecayed.count(name) > 0;
    ParameterGroup& group = groups[{backbone, norm}];
    group.lr_factor = backbone ? config.backbone_lr_factor : 1.0;
    group.weight_decay = norm ? config.norm_weight_decay : config.weight_decay;
    group.parameters.emplace_back(name, item.value());
  }
  std::vector<ParameterGroup> out;
  for (auto& [kind, group] : groups) out.push_back(std::move(group));
  return out;
}

Optimizer::Optimizer(const TrainConfig& config, const model::Segmenter& segmenter) : impl_(std::make_unique<Impl>()) {
  impl_->config = config;
  const auto groups = parameter_groups(config, segmenter, segmenter.backbone_prefix());
  if (groups.empty()) throw Error(ErrorCode::kConfig, "config: nothing is left to train; lower model.backbone.freeze");
  for (const ParameterGroup& group : groups) {
    for (const auto& [name, parameter] : group.parameters) {
      impl_->slots.push_back({.name = name, .parameter = parameter, .lr_factor = group.lr_factor,
                              .weight_decay = group.weight_decay, .momentum = {}, .mean = {}, .square = {}});
    }
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::zero_grad() {
  for (Slot& slot : impl_->slots) slot.parameter.mutable_grad().reset();
}

at::Tensor Optimizer::step(int64_t step) {
  const torch::NoGradGuard guard;
  std::vector<Slot*> slots;
  for (Slot& slot : impl_->slots) {
    if (slot.has_gradient()) slots.push_back(&slot);
  }
  const at::Tensor norm = norm_of(slots);
  if (impl_->config.clip_norm > 0) {
    clip(slots, norm, impl_->config.clip_norm);
  }
  impl_->lr = impl_->config.lr_at(step);
  impl_->update(slots);
  return norm;
}

std::vector<std::pair<std::string, at::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, at::Tensor>> out;
  for (const Slot& slot : impl_->slots) {
    if (slot.momentum.defined()) out.emplace_back("momentum." + slot.name, slot.momentum);
    if (!slot.mean.defined()) continue;
    out.emplace_back("exp_avg." + slot.name, slot.mean);
    out.emplace_back("exp_avg_sq." + slot.name, slot.square);
    out.emplace_back("step." + slot.name, torch::tensor({slot.steps}, at::kLong));
  }
  return out;
}

void Optimizer::set_state(const std::vector<std::pair<std::string, at::Tensor>>& state) {
  std::map<std::string, at::Tensor> saved(state.begin(), state.end());
  const auto take = [&](const std::string& name, const at::Tensor& like) {
    const auto it = saved.find(name);
    if (it == saved.end()) return at::Tensor();
    if (it->second.sizes() != like.sizes()) {
      throw Error(ErrorCode::kBadData, cat("the saved optimiser state \"", name, "\" has another shape"));
    }
    const at::Tensor out = it->second.to(like.device()).clone();
    saved.erase(it);
    return out;
  };
  for (Slot& slot : impl_->slots) {
    if (impl_->is_sgd()) {
      slot.momentum = take("momentum." + slot.name, slot.parameter);
      continue;
    }
    slot.mean = take("exp_avg." + slot.name, slot.parameter);
    slot.square = take("exp_avg_sq." + slot.name, slot.parameter);
    const at::Tensor steps = take("step." + slot.name, torch::zeros({1}, at::kLong));
    // A parameter that has had no gradient yet has no state, but never a part of it.
    if (slot.mean.defined() != slot.square.defined() || slot.mean.defined() != steps.defined()) {
      throw Error(ErrorCode::kBadData, cat("the saved optimiser state of \"", slot.name, "\" is not whole"));
    }
    slot.steps = steps.defined() ? steps.item<int64_t>() : 0;
  }
  if (!saved.empty()) {
    throw Error(ErrorCode::kBadData,
                cat("the saved optimiser state \"", saved.begin()->first, "\" is of no parameter of this model"));
  }
}

}  // namespace iuq::train
