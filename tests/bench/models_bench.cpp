// Times one network at its published size on made-up input: 2 images of 512 x 512 pixels, random weights. Segmenters have
// ResNet-50 with frozen norms that trains whole, 80 classes, 7 instances an image; a training step is forward, losses and
// backward, without the optimiser, which is the same for all. Of a backbone alone the loss is the sum of its maps' means.
// usage: models_bench condinst|solov2|sotr|mask2former|resnet50|swin_t THREADS [ROUNDS]
// Prints one line of JSON: for each of the two the least seconds of ROUNDS rounds, by the clock and of all processors,
// and the megabytes by which the process grew at most.
#include <torch/types.h>
#include <torch/version.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/model/segmenter.h"
#include "lib/nn/backbone.h"
#include "lib/nn/backbone_config.h"
#include "lib/nn/conv.h"
#include "lib/view/device.h"
#include "tests/bench/measure.h"

using namespace iuq;

namespace {

constexpr int64_t kSide = 512, kImages = 2, kInstances = 7, kClasses = 80;

view::Instances ellipses(int64_t image_id) {
  view::Instances truth;
  truth.image_id = image_id;
  Rng rng(static_cast<uint64_t>(image_id), "ellipses");
  std::vector<at::Tensor> masks;
  std::vector<int64_t> labels;
  const at::Tensor index = at::arange(kSide, at::kFloat);
  for (int64_t n = 0; n < kInstances; ++n) {
    const double size = 12 * std::exp(rng.uniform() * 2.5);
    const auto across = [&] {
      return ((index - rng.uniform(50, kSide - 50)) / (size * rng.uniform(0.6, 1.4))).square();
    };
    const at::Tensor x = across(), y = across();
    masks.push_back((x.unsqueeze(0) + y.unsqueeze(1)) < 1);
    labels.push_back(rng.below(kClasses));
    truth.instance_ids.push_back(image_id * 100 + n);
  }
  truth.masks = at::stack(masks);
  truth.labels = torch::tensor(labels, at::kLong);
  return truth;
}

/// What is timed: to run it, and to train it for a step.
struct Subject {
  std::function<void()> forward, step;
};

const nlohmann::json kResNet50 = {{"name", "resnet50"}, {"norm", "frozen"}, {"freeze", 0}};

Subject segmenter_subject(const std::string& name) {
  const nlohmann::json config = {{"name", name}, {"backbone", kResNet50}};
  const auto segmenter = model::make_segmenter(config, kClasses, /*seed=*/1);
  torch::manual_seed(1);
  const at::Tensor images = at::randn({kImages, 3, kSide, kSide});
  const model::Frame frame{{kSide, kSide}, std::vector<view::Size>(kImages, {kSide, kSide})};
  const std::vector<view::Instances> truth = {ellipses(1), ellipses(2)};
  Subject subject;
  subject.forward = [=] {
    const torch::NoGradGuard no_grad;
    segmenter->eval();
    segmenter->encode(segmenter->backbone(images), frame);
  };
  subject.step = [=] {
    segmenter->train();
    const model::Encoded encoded = segmenter->encode(segmenter->backbone(images), frame);
    const model::Queries queries = segmenter->assign(encoded, truth);
    at::Tensor total = at::zeros({});
    for (const auto& [term, loss] : segmenter->base_losses(encoded, queries, truth)) total = total + loss;
    segmenter->zero_grad();
    total.backward();
  };
  return subject;
}

Subject backbone_subject(const nlohmann::json& config) {
  const std::shared_ptr<nn::Backbone> backbone = nn::make_backbone(config.get<nn::BackboneConfig>());
  nn::init_modules_(*backbone, /*seed=*/1);
  torch::manual_seed(1);
  const at::Tensor images = at::randn({kImages, 3, kSide, kSide});
  Subject subject;
  subject.forward = [=] {
    const torch::NoGradGuard no_grad;
    backbone->eval();
    backbone->forward(images);
  };
  subject.step = [=] {
    backbone->train();
    at::Tensor total = at::zeros({});
    for (const at::Tensor& map : backbone->forward(images)) total = total + map.mean();
    backbone->zero_grad();
    total.backward();
  };
  return subject;
}

Subject subject_of(const std::string& name) {
  if (name == "resnet50") return backbone_subject(kResNet50);
  if (name == "swin_t") return backbone_subject({{"name", name}});
  return segmenter_subject(name);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: models_bench condinst|solov2|sotr|mask2former|resnet50|swin_t THREADS [ROUNDS]\n");
    return 64;
  }
  try {
    view::set_threads(std::atoi(argv[2]));
    const int rounds = argc == 4 ? std::atoi(argv[3]) : 3;
    const Subject subject = subject_of(argv[1]);
    nlohmann::json line = {{"torch", TORCH_VERSION}};
    for (const auto& [name, work] : {std::pair("forward", subject.forward), std::pair("step", subject.step)}) {
      const bench::Cost cost = bench::measure(work, rounds);
      line[name] = {{"seconds", cost.seconds}, {"processor", cost.processor}, {"megabytes", cost.megabytes}};
    }
    std::printf("%s\n", line.dump().c_str());
  } catch (const Error& e) {
    std::fprintf(stderr, "models_bench: error: %s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
