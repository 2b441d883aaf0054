// Forward and backward of deformable attention at the size of a Mask2Former encoder layer on an 800 pixel image, against
// the same by grid_sample. Prints seconds (median of alternating runs) and peak extra memory of both.
// usage: deform_bench    exit 1 unless it is three times as fast in a third of the memory
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cstdio>

#include "lib/nn/deform_attn.h"
#include "tests/bench/measure.h"

using namespace iuq;

namespace {

struct Problem {
  nn::LevelShapes shapes = {{25, 25}, {50, 50}, {99, 100}};  // 13 025 tokens
  std::vector<at::Tensor> inputs;

  // Each token attends around its own place, two pixels away on average, as a trained encoder does.
  explicit Problem(int64_t heads = 8, int64_t points = 4) {
    torch::manual_seed(1);
    std::vector<at::Tensor> places, sizes;
    for (const auto& [height, width] : shapes) {
      const at::Tensor y = ((at::arange(height, at::kFloat) + 0.5) / height).view({height, 1}).expand({height, width});
      const at::Tensor x = ((at::arange(width, at::kFloat) + 0.5) / width).view({1, width}).expand({height, width});
      places.push_back(at::stack({x, y}, -1).view({-1, 2}));
      sizes.push_back(torch::tensor({static_cast<float>(width), static_cast<float>(height)}));
    }
    const at::Tensor place = at::cat(places).view({1, -1, 1, 1, 1, 2});
    const int64_t tokens = place.size(1);
    const auto levels = static_cast<int64_t>(shapes.size());
    const at::Tensor offsets = 2 * at::randn({1, tokens, heads, levels, points, 2}) / at::stack(sizes).view({levels, 1, 2});
    inputs = {at::randn({1, tokens, heads, 32}), place + offsets,
              at::randn({1, tokens, heads, levels * points}).softmax(-1).view({1, tokens, heads, levels, points})};
    for (at::Tensor& input : inputs) input.requires_grad_();
  }

  template <class Attention>
  void train(const Attention& attention) const {
    attention(inputs[0], shapes, inputs[1], inputs[2]).sum().backward();
    for (const at::Tensor& input : inputs) input.mutable_grad().reset();
  }
};

}  // namespace

int main() {
  const Problem problem;
  const auto kernel = [&] { problem.train(nn::deform_attn); };
  const auto sampled = [&] { problem.train(nn::sampled_attention); };
  kernel();
  const double kernel_peak = bench::peak_megabytes(kernel);
  sampled();
  const double sampled_peak = bench::peak_megabytes(sampled);
  std::vector<double> kernel_seconds, sampled_seconds;
  for (int round = 0; round < 7; ++round) {
    kernel_seconds.push_back(bench::seconds_of(kernel));
    sampled_seconds.push_back(bench::seconds_of(sampled));
  }
  const double ours = bench::median(kernel_seconds), theirs = bench::median(sampled_seconds);
  std::printf("deformable attention, [1, %lld, 8, 32], 3 levels, 4 points, forward and backward, %d threads\n",
              static_cast<long long>(problem.inputs[0].size(1)), at::get_num_threads());
  std::printf("  kernel       %7.3f s  %6.0f MB\n  grid_sample  %7.3f s  %6.0f MB\n  ratio        %7.2f    %6.2f\n", ours,
              kernel_peak, theirs, sampled_peak, theirs / ours, sampled_peak / kernel_peak);
  return theirs >= 3 * ours && sampled_peak >= 3 * kernel_peak ? 0 : 1;
}
