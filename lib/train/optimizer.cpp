#include "lib/train/optimizer.h"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim.h>
#include <torch/version.h>

#include <map>
#include <set>

#include "lib/base/error.h"
#include "lib/model/segmenter.h"
#include "lib/nn/undecayed.h"

namespace iuq::train {
namespace {

// How the optimiser's state map is keyed differs between LibTorch versions.
#if TORCH_VERSION_MAJOR >= 2
void* state_key(const at::Tensor& parameter) { return parameter.unsafeGetTensorImpl(); }
#else
std::string state_key(const at::Tensor& parameter) { return c10::guts::to_string(parameter.unsafeGetTensorImpl()); }
#endif

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
  std::vector<torch::optim::OptimizerParamGroup> list;
  for (const ParameterGroup& group : groups) {
    std::vector<at::Tensor> parameters;
    for (const auto& [name, parameter] : group.parameters) {
      parameters.push_back(parameter);
      impl_->parameters.emplace_back(name, parameter);
    }
    std::unique_ptr<torch::optim::OptimizerOptions> options;
    if (config.optimizer == "sgd") {
      options = std::make_unique<torch::optim::SGDOptions>(
          torch::optim::SGDOptions(config.lr).momentum(config.momentum).weight_decay(group.weight_decay));
    } else {
      options = std::make_unique<torch::optim::AdamWOptions>(torch::optim::AdamWOptions(config.lr).weight_decay(group.weight_decay));
    }
    list.emplace_back(parameters, std::move(options));
    impl_->lr_factors.push_back(group.lr_factor);
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
