#include "lib/nn/resnet.h"

#include <torch/types.h>

#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"

namespace iuq::nn {
namespace {

struct Depth {
  std::vector<int64_t> blocks;
  bool bottleneck;
};

const std::map<std::string, Depth>& depths() {
  static const std::map<std::string, Depth> table = {{"resnet10", {{1, 1, 1, 1}, false}},
                                                     {"resnet18", {{2, 2, 2, 2}, false}},
                                                     {"resnet34", {{3, 4, 6, 3}, false}},
                                                     {"resnet50", {{3, 4, 6, 3}, true}},
                                                     {"resnet101", {{3, 4, 23, 3}, true}}};
  return table;
}

// Two 3x3 convolutions, or 1x1 - 3x3 - 1x1; a projection on the shortcut where the shape changes.
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(int64_t in, int64_t planes, int64_t out, int64_t stride, bool bottleneck, const ResNetConfig& config) {
    const NormKind norm = norm_kind(config.norm);
    const auto add = [&](const char* name, int64_t from, int64_t to, int64_t kernel, int64_t step) {
      return register_module(name, Conv(ConvImpl::Options{from, to, kernel, step, false, norm, ConvInit::kHeFanOut, 0}));
    };
    if (bottleneck) {
      convs_ = {add("conv1", in, planes, 1, config.stride_in_1x1 ? stride : 1),
                add("conv2", planes, planes, 3, config.stride_in_1x1 ? 1 : stride), add("conv3", planes, out, 1, 1)};
    } else {
      convs_ = {add("conv1", in, planes, 3, stride), add("conv2", planes, out, 3, 1)};
    }
    if (in != out || stride != 1) shortcut_ = add("shortcut", in, out, 1, stride);
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = x;
    for (size_t i = 0; i + 1 < convs_.size(); ++i) y = convs_[i]->forward(y).relu_();
    y = convs_.back()->forward(y);
    return y.add_(shortcut_ ? shortcut_->forward(x) : x).relu_();
  }

 private:
  std::vector<Conv> convs_;
  Conv shortcut_{nullptr};
};

void freeze(torch::nn::Module& module) {
  for (at::Tensor& parameter : module.parameters()) parameter.set_requires_grad(false);
}

}  // namespace

ConfigFields ResNetConfig::fields() {
  return {
      {"name", &name, "which network: basic blocks up to resnet34, bottlenecks above", Range::one_of(names())},
      {"width", &width, "channels after the stem, a multiple of 8; 64 is the published size, less makes it tiny",
       Range::closed(8, 1024)},
      {"norm", &norm, "\"frozen\" for pretrained weights, \"batch\" for a random start",
       Range::one_of({"frozen", "batch"})},
      {"freeze", &freeze, "parts that do not train: 0 none, 1 stem, 2 stem and res2, ... 5 all", Range::closed(0, 5)},
      // Source: REFERENCE.md 1.
      {"stride_in_1x1", &stride_in_1x1, "true for MSRA's and Caffe's weights, false for torchvision's"},
  };
}

void ResNetConfig::check() const {
  check_ranges(*this);
  check_config(width % 8 == 0, "model.backbone.width", width, "a multiple of 8 in 8..1024");
}

std::vector<std::string> ResNetConfig::names() {
  std::vector<std::string> names;
  for (const auto& [name, depth] : depths()) names.push_back(name);
  return names;
}

ResNetImpl::ResNetImpl(const ResNetConfig& config) {
  const Depth& depth = depths().at(config.name);
  const auto stem = register_module("stem", std::make_shared<torch::nn::Module>("stem"));
  stem_ = stem->register_module("conv1", Conv(ConvImpl::Options{3, config.width, 7, 2, false, norm_kind(config.norm),
                                                                ConvInit::kHeFanOut, 0}));
  if (config.freeze >= 1) freeze(*stem);
  int64_t in = config.width;
  for (int64_t s = 0; s < 4; ++s) {
    const int64_t planes = config.width << s;
    const int64_t out = planes * (depth.bottleneck ? 4 : 1);
    const auto stage = register_module(cat("res", s + 2), std::make_shared<torch::nn::Module>("stage"));
    auto& blocks = stages_.emplace_back();
    for (int64_t b = 0; b < depth.blocks[static_cast<size_t>(s)]; ++b) {
      const int64_t stride = b == 0 && s > 0 ? 2 : 1;
      blocks.push_back(stage->register_module(
          std::to_string(b), std::make_shared<BlockImpl>(in, planes, out, stride, depth.bottleneck, config)));
      in = out;
    }
    channels_.push_back(out);
    if (config.freeze >= s + 2) freeze(*stage);
  }
}

std::vector<at::Tensor> ResNetImpl::forward(const at::Tensor& images) {
  // Channels last is what the CPU's convolutions compute in: they need not reorder each map. Maps leave as they came.
  at::Tensor x = images.is_cpu() ? images.contiguous(at::MemoryFormat::ChannelsLast) : images;
  x = stem_->forward(x).relu_();
  x = at::max_pool2d(x, 3, 2, 1);
  std::vector<at::Tensor> outputs;
  for (const auto& stage : stages_) {
    for (const auto& block : stage) x = static_cast<BlockImpl&>(*block).forward(x);
    outputs.push_back(x.contiguous());
  }
  return outputs;
}

}  // namespace iuq::nn
