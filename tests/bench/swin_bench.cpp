// The forward pass of a Swin Transformer on one made-up image in float32 and in bfloat16: the least seconds of three runs by
// the clock and of all processors, the megabytes of the weights and those it takes beside them, and how far the maps of the
// two are apart, by the mean absolute value of each map.
// usage: swin_bench [NAME [HEIGHT WIDTH [THREADS]]]      default: swin_l 800 1216 2
#include <torch/torch.h>
#include <torch/version.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/error.h"
#include "lib/nn/conv.h"
#include "lib/nn/swin.h"
#include "lib/view/device.h"
#include "tests/bench/measure.h"

using namespace iuq;

namespace {

std::vector<at::Tensor> timed(nn::SwinImpl& swin, const at::Tensor& images, const char* type) {
  std::vector<at::Tensor> maps;
  const bench::Cost cost = bench::measure([&] { maps = swin.forward(images); }, 3);
  double weights = 0;
  for (const at::Tensor& parameter : swin.parameters()) weights += static_cast<double>(parameter.nbytes()) / (1 << 20);
  std::printf("%-9s %7.3f s  %7.3f s of processor  %4.0f + %4.0f MB\n", type, cost.seconds, cost.processor, weights,
              cost.megabytes);
  return maps;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 5 || argc == 3) {
    std::fprintf(stderr, "usage: swin_bench [NAME [HEIGHT WIDTH [THREADS]]]\n");
    return 64;
  }
  try {
    view::set_threads(argc > 4 ? std::atoi(argv[4]) : 2);
    const torch::NoGradGuard no_grad;
    const std::string name = argc > 1 ? argv[1] : "swin_l";
    const long height = argc > 2 ? std::atol(argv[2]) : 800, width = argc > 3 ? std::atol(argv[3]) : 1216;
    nn::SwinImpl swin(nlohmann::json{{"name", name}}.get<nn::SwinConfig>());
    nn::init_modules_(swin, 0);
    swin.eval();
    torch::manual_seed(0);
    const at::Tensor images = torch::randn({1, 3, height, width});
    std::printf("%s %ldx%ld, torch %s\n", name.c_str(), height, width, TORCH_VERSION);
    const std::vector<at::Tensor> wanted = timed(swin, images, "float32");
    swin.to(at::kBFloat16);
    const std::vector<at::Tensor> maps = timed(swin, images, "bfloat16");
    for (size_t i = 0; i < maps.size(); ++i) {
      const at::Tensor off = (maps[i] - wanted[i]).abs();
      const double size = wanted[i].abs().mean().item<double>();
      std::printf("map %zu: largest difference %.3f, mean %.4f\n", i, off.max().item<double>() / size,
                  off.mean().item<double>() / size);
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "swin_bench: error: %s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
