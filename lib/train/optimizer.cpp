#include "lib/train/optimizer.h"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim.h>
#include <torch/version.h>

#include <map>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"

namespace iuq::train {
namespace {

// How the optimiser's state map is keyed differs between LibTorch versions.
#if TORCH_VERSION_MAJOR >= 2
void* state_key(const at::Tensor& parameter) { return parameter.unsafeGetTensorImpl(); }
#else
std::string state_key(const at::Tensor& parameter) { return c10::guts::to_string(parameter.unsafeGetTensorImpl()); }
#endif

bool is_norm(const std::string& name, const at::Tensor& parameter) {
  // One-dimensional weights belong to norm layers; a bias does when its layer's weight does.
  return parameter.dim() == 1 && name.size() > 7 && name.compare(name.size() - 7, 7, ".weight") == 0;
}

}  // namespace

struct Optimizer::Impl {
  TrainConfig config;
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  std::vector<double> lr_factors;  // per group
  std::unique_ptr<torch::optim::Optimizer> optimizer;

  void set_lr(double lr) {
    for (size_t g = 0; g < lr_factors.size(); ++g) {
      optimizer->param_groups()[g].options().set_lr(lr * lr_factors[g]);
    }
  }
};

Optimizer::Optimizer(const TrainConfig& config, const model::Segmenter& segmenter) : impl_(std::make_unique<Impl>()) {
  impl_->config = config;
  const auto named = segmenter.named_parameters();
  std::map<std::pair<bool, bool>, std::vector<at::Tensor>> groups;  // (backbone, norm)
  for (const auto& item : named) {
    const at::Tensor& parameter = item.value();
    if (!parameter.requires_grad()) continue;
    const std::string& name = item.key();
    bool norm = is_norm(name, parameter);
    const size_t dot = name.rfind('.');
    if (!norm && dot != std::string::npos && name.substr(dot) == ".bias") {
      const at::Tensor* weight = named.find(name.substr(0, dot) + ".weight");
      norm = weight && weight->dim() == 1;
    }
    groups[{name.rfind(segmenter.backbone_prefix(), 0) == 0, norm}].push_back(parameter);
    impl_->parameters.emplace_back(name, parameter);
  }
  if (groups.empty()) throw Error(ErrorCode::kConfig, "config: nothing is left to train; lower model.backbone.freeze");
  std::vector<torch::optim::OptimizerParamGroup> list;
  for (const auto& [kind, parameters] : groups) {
    const auto& [backbone, norm] = kind;
    const double decay = norm ? config.norm_weight_decay : config.weight_decay;
    std::unique_ptr<torch::optim::OptimizerOptions> options;
    if (config.optimizer == "sgd") {
      options = std::make_unique<torch::optim::SGDOptions>(
          torch::optim::SGDOptions(config.lr).momentum(config.momentum).weight_decay(decay));
    } else {
      options = std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(config.lr).weight_decay(decay));
    }
    list.emplace_back(parameters, std::move(options));
    impl_->lr_factors.push_back(backbone ? config.backbone_lr : 1.0);
  }
  if (config.optimizer == "sgd") {
    impl_->optimizer = std::make_unique<torch::optim::SGD>(list, torch::optim::SGDOptions(config.lr));
  } else {
    impl_->optimizer = std::make_unique<torch::optim::AdamW>(list, torch::optim::AdamWOptions(config.lr));
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::zero_grad() { impl_->optimizer->zero_grad(); }

at::Tensor Optimizer::step(int64_t step) {
  std::vector<at::Tensor> norms;
  for (const auto& [name, parameter] : impl_->parameters) {
    if (parameter.grad().defined()) norms.push_back(parameter.grad().norm());
  }
  const at::Tensor norm = norms.empty() ? at::zeros({}) : at::stack(norms).norm();
  if (impl_->config.clip_norm > 0) {
    const at::Tensor factor = (impl_->config.clip_norm / (norm + 1e-6)).clamp_max(1.0);
    for (const auto& [name, parameter] : impl_->parameters) {
      if (parameter.grad().defined()) parameter.mutable_grad().mul_(factor);
    }
  }
  impl_->set_lr(impl_->config.lr_at(step));
  impl_->optimizer->step();
  return norm;
}

std::vector<std::pair<std::string, at::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, at::Tensor>> out;
  for (const auto& [name, parameter] : impl_->parameters) {
    const auto it = impl_->optimizer->state().find(state_key(parameter));
    if (it == impl_->optimizer->state().end()) continue;
    if (impl_->config.optimizer == "sgd") {
      const auto& state = static_cast<const torch::optim::SGDParamState&>(*it->second);
      if (state.momentum_buffer().defined()) out.emplace_back("momentum." + name, state.momentum_buffer());
    } else {
      const auto& state = static_cast<const torch::optim::AdamWParamState&>(*it->second);
      out.emplace_back("exp_avg." + name, state.exp_avg());
      out.emplace_back("exp_avg_sq." + name, state.exp_avg_sq());
      out.emplace_back("step." + name, torch::tensor({state.step()}, at::kLong));
    }
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
    return it->second.to(like.device()).clone();
  };
  for (const auto& [name, parameter] : impl_->parameters) {
    if (impl_->config.optimizer == "sgd") {
      const at::Tensor momentum = take("momentum." + name, parameter);
      if (!momentum.defined()) continue;
      auto fresh = std::make_unique<torch::optim::SGDParamState>();
      fresh->momentum_buffer(momentum);
      impl_->optimizer->state()[state_key(parameter)] = std::move(fresh);
    } else {
      const at::Tensor average = take("exp_avg." + name, parameter);
      const at::Tensor square = take("exp_avg_sq." + name, parameter);
      const at::Tensor step = take("step." + name, torch::zeros({1}, at::kLong));
      if (!average.defined() || !square.defined() || !step.defined()) continue;
      auto fresh = std::make_unique<torch::optim::AdamWParamState>();
      fresh->exp_avg(average);
      fresh->exp_avg_sq(square);
      fresh->step(step.item<int64_t>());
      impl_->optimizer->state()[state_key(parameter)] = std::move(fresh);
    }
  }
}

}  // namespace iuq::train
