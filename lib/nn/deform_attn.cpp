#include "lib/nn/deform_attn.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/nn/deform_kernel.h"

namespace iuq::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kQueriesAtATime = 64;  // of one head: tens of microseconds

void check_arguments(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                     const at::Tensor& weights) {
  IUQ_ASSERT(value.dim() == 4 && locations.dim() == 6 && weights.dim() == 5);
  IUQ_ASSERT(locations.size(5) == 2 && locations.sizes().slice(0, 5) == weights.sizes());
  IUQ_ASSERT(value.size(0) == weights.size(0) && value.size(2) == weights.size(2));
  IUQ_ASSERT(weights.size(3) == static_cast<int64_t>(shapes.size()));
  IUQ_ASSERT(value.scalar_type() == locations.scalar_type() && value.scalar_type() == weights.scalar_type());
  IUQ_ASSERT(value.device() == locations.device() && value.device() == weights.device());
  int64_t tokens = 0;
  for (const auto& [height, width] : shapes) {
    IUQ_ASSERT(height > 0 && width > 0);
    tokens += height * width;
  }
  IUQ_ASSERT(value.size(1) == tokens);
}

template <class T>
DeformArguments<T> describe(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                          const at::Tensor& weights) {
  DeformArguments<T> arguments{};
  arguments.batch = value.size(0);
  arguments.tokens = value.size(1);
  arguments.heads = value.size(2);
  arguments.depth = value.size(3);
  arguments.queries = weights.size(1);
  arguments.points = weights.size(4);
  int64_t first = 0;
  for (const auto& [height, width] : shapes) {
    arguments.levels.push_back({height, width, first});
    first += height * width;
  }
  arguments.value = value.data_ptr<T>();
  arguments.locations = locations.data_ptr<T>();
  arguments.weights = weights.data_ptr<T>();
  return arguments;
}

template <class T>
void run_forward(DeformArguments<T> arguments, const at::Tensor& out) {
  arguments.out = out.data_ptr<T>();
  at::parallel_for(0, arguments.batch * arguments.heads * arguments.queries, kQueriesAtATime,
                   [&](int64_t begin, int64_t end) { deform_forward(arguments, begin, end); });
}

template <class T>
void run_backward(DeformArguments<T> arguments, const at::Tensor& grad_out, const variable_list& grads) {
  arguments.grad_out = grad_out.data_ptr<T>();
  arguments.grad_value = grads[0].data_ptr<T>();
  arguments.grad_locations = grads[1].data_ptr<T>();
  arguments.grad_weights = grads[2].data_ptr<T>();
  const auto levels = static_cast<int64_t>(arguments.levels.size());
  at::parallel_for(0, arguments.batch * arguments.heads * levels, 1,
                   [&](int64_t begin, int64_t end) { deform_backward(arguments, begin, end); });
}

class DeformAttn : public torch::autograd::Function<DeformAttn> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& value, const at::Tensor& locations,
                            const at::Tensor& weights, const LevelShapes& shapes) {
    context->save_for_backward({value, locations, weights});
    std::vector<int64_t> sizes;  // the context keeps no vectors of pairs
    for (const auto& [height, width] : shapes) sizes.insert(sizes.end(), {height, width});
    context->saved_data["sizes"] = sizes;
    const at::Tensor out = at::empty({value.size(0), weights.size(1), value.size(2) * value.size(3)}, value.options());
    if (value.scalar_type() == at::kFloat) {
      run_forward(describe<float>(value, shapes, locations, weights), out);
    } else {
      run_forward(describe<double>(value, shapes, locations, weights), out);
    }
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_out) {
    // The engine enables gradients here only for create_graph; what the kernel returns would be constants to it.
    if (at::GradMode::is_enabled()) throw Error(ErrorCode::kInternal, "deform_attn has no second derivatives");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &value = saved[0], &locations = saved[1], &weights = saved[2];
    const std::vector<int64_t> sizes = context->saved_data["sizes"].toIntVector();
    LevelShapes shapes;
    for (size_t l = 0; l < sizes.size(); l += 2) shapes.emplace_back(sizes[l], sizes[l + 1]);
    const at::Tensor grad = grad_out[0].contiguous();
    variable_list grads = {at::zeros_like(value), at::empty_like(locations), at::empty_like(weights)};
    if (value.scalar_type() == at::kFloat) {
      run_backward(describe<float>(value, shapes, locations, weights), grad, grads);
    } else {
      run_backward(describe<double>(value, shapes, locations, weights), grad, grads);
    }
    grads.emplace_back();  // of the shapes
    return grads;
  }
};

}  // namespace

at::Tensor deform_attn(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                       const at::Tensor& weights) {
  const bool has_kernel = value.is_cpu() && (value.scalar_type() == at::kFloat || value.scalar_type() == at::kDouble);
  if (!has_kernel) return sampled_attention(value, shapes, locations, weights);
  check_arguments(value, shapes, locations, weights);
  return DeformAttn::apply(value.contiguous(), locations.contiguous(), weights.contiguous(), shapes);
}

at::Tensor sampled_attention(const at::Tensor& value, const LevelShapes& shapes, const at::Tensor& locations,
                             const at::Tensor& weights) {
  check_arguments(value, shapes, locations, weights);
  const int64_t batch = value.size(0), heads = value.size(2), depth = value.size(3);
  const int64_t queries = weights.size(1), points = weights.size(4);
  const at::Tensor grids = (2 * locations - 1).transpose(1, 2);  // [B, heads, queries, L, points, 2] in [-1, 1]
  const at::Tensor shares = weights.transpose(1, 2);             // [B, heads, queries, L, points]
  at::Tensor sum = at::zeros({batch * heads, depth, queries}, value.options());
  int64_t first = 0;
  for (size_t l = 0; l < shapes.size(); ++l) {
    const auto [height, width] = shapes[l];
    const auto level = static_cast<int64_t>(l);
    const at::Tensor map = value.narrow(1, first, height * width)
                               .permute({0, 2, 3, 1})
                               .reshape({batch * heads, depth, height, width});
    const at::Tensor grid = grids.select(3, level).reshape({batch * heads, queries, points, 2});
    const at::Tensor samples = at::grid_sampler_2d(map, grid, /*interpolation_mode=*/0, /*padding_mode=*/0,
                                                   /*align_corners=*/false);  // [B * heads, depth, queries, points]
    sum = sum + (samples * shares.select(3, level).reshape({batch * heads, 1, queries, points})).sum(3);
    first += height * width;
  }
  return sum.view({batch, heads * depth, queries}).transpose(1, 2);
}

}  // namespace iuq::nn
