// Forward passes of a Swin Transformer on one image: one for each line on stdin, its seconds of wall clock and of processor
// time on stdout. swin_bench.py puts other programs beside it.
//   swin_bench swin_t HEIGHT WIDTH THREADS [float32|bfloat16]
//   swin_bench swin_l HEIGHT WIDTH THREADS compare       largest difference of the two types in each map, by the mean
//                                                        absolute value of the map
#include <sys/resource.h>
#include <torch/torch.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/nn/conv.h"
#include "lib/nn/swin.h"
#include "lib/view/device.h"

namespace {

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void time_lines(iuq::nn::SwinImpl& swin, const at::Tensor& images) {
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const std::clock_t processor = std::clock();
    const auto wall = std::chrono::steady_clock::now();
    swin.forward(images);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
    std::cout << seconds << " " << static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC << " " << peak_mib() << std::endl;
  }
}

void compare(iuq::nn::SwinImpl& swin, const at::Tensor& images) {
  const std::vector<at::Tensor> wanted = swin.forward(images);
  swin.to(at::kBFloat16);
  const std::vector<at::Tensor> maps = swin.forward(images);
  for (size_t i = 0; i < maps.size(); ++i) {
    const at::Tensor off = (maps[i] - wanted[i]).abs();
    const double size = wanted[i].abs().mean().item<double>();
    std::cout << "map " << i << ": largest " << off.max().item<double>() / size << ", mean " << off.mean().item<double>() / size
              << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "usage: swin_bench swin_t|swin_s|swin_b|swin_l HEIGHT WIDTH THREADS [float32|bfloat16|compare]\n";
    return 64;
  }
  const std::string mode = argc > 5 ? argv[5] : "float32";
  iuq::view::set_threads(std::stoi(argv[4]));
  const torch::NoGradGuard guard;
  iuq::nn::SwinImpl swin(nlohmann::json{{"name", argv[1]}}.get<iuq::nn::SwinConfig>());
  iuq::nn::init_modules_(swin, 0);
  swin.eval();
  torch::manual_seed(0);
  const at::Tensor images = torch::randn({1, 3, std::stol(argv[2]), std::stol(argv[3])});
  if (mode == "compare") {
    compare(swin, images);
    return 0;
  }
  if (mode == "bfloat16") swin.to(at::kBFloat16);
  time_lines(swin, images);
  return 0;
}
