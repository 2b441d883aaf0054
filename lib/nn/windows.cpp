#include "lib/nn/windows.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <cmath>
#include <limits>

#include "lib/base/error.h"

namespace iuq::nn {
namespace {

// One for each kind of window: whether two slots lie on the same side of the seams.
at::Tensor seam_masks(int64_t side, int64_t shift) {
  const at::Tensor behind = torch::arange(side, at::kLong) >= side - shift;  // [side] bool
  std::vector<at::Tensor> masks;
  for (int64_t kind = 0; kind < 4; ++kind) {
    at::Tensor part = torch::zeros({side, side}, at::kLong);
    if (kind & 2) part = part + 2 * behind.to(at::kLong).unsqueeze(1);
    if (kind & 1) part = part + behind.to(at::kLong).unsqueeze(0);
    part = part.flatten();
    const at::Tensor apart = part.unsqueeze(1) != part.unsqueeze(0);  // [N, N] bool
    masks.push_back(torch::zeros(apart.sizes()).masked_fill(apart, -std::numeric_limits<float>::infinity()));
  }
  return at::stack(masks).unsqueeze(1);
}

// Indices of one map repeated for `batch` maps of `stride` rows each.
at::Tensor for_batch(const at::Tensor& index, int64_t batch, int64_t stride) {
  if (batch == 1) return index;
  return (torch::arange(batch, index.options()).unsqueeze(1) * stride + index.unsqueeze(0)).flatten();
}

/// Takes rows by index and sets some to 0. Index and padding of the two directions belong together, so that the gradient is
/// the reverse: a gather, where the derivative of index_select is a scatter, row by row and on one thread.
struct MoveRows : torch::autograd::Function<MoveRows> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows, const at::Tensor& there,
                            const at::Tensor& zero_there, const at::Tensor& back, const at::Tensor& zero_back) {
    context->save_for_backward({back, zero_back});
    return move(rows, there, zero_there);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {move(gradients[0], saved[0], saved[1]), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
  static at::Tensor move(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& zero) {
    at::Tensor out = rows.index_select(0, index);
    if (zero.size(0) > 0) out.index_fill_(0, zero, 0);
    return out;
  }
};

}  // namespace

WindowPlan plan_windows(view::Size map, int64_t side, int64_t shift, c10::Device device) {
  IUQ_ASSERT(side >= 1 && shift >= 0 && shift < side && map.height >= 1 && map.width >= 1);
  const view::Size padded = view::round_up(map, side);
  const int64_t across = padded.width / side;
  WindowPlan plan;
  plan.slots = side * side;
  plan.windows = padded.height / side * across;
  std::vector<int64_t> token, slot(static_cast<size_t>(map.height * map.width)), kind;
  for (int64_t window = 0; window < plan.windows; ++window) {
    const int64_t top = window / across * side, left = window % across * side;
    kind.push_back(2 * (top + side == padded.height) + (left + side == padded.width));
    for (int64_t p = 0; p < plan.slots; ++p) {
      const int64_t row = (top + p / side + shift) % padded.height, column = (left + p % side + shift) % padded.width;
      const bool inside = row < map.height && column < map.width;
      const auto at = static_cast<int64_t>(token.size());
      token.push_back(inside ? row * map.width + column : 0);
      if (inside) slot[static_cast<size_t>(token.back())] = at;
      else plan.pad_list.push_back(at);
    }
  }
  const auto tensor = [&](const std::vector<int64_t>& values) { return torch::tensor(values, at::kLong).to(device); };
  plan.token = tensor(token);
  plan.slot = tensor(slot);
  plan.pads = tensor(plan.pad_list);
  if (shift > 0) {
    plan.kind = tensor(kind);
    plan.mask = seam_masks(side, shift).to(device);
  }
  return plan;
}

at::Tensor relative_positions(int64_t side) {
  const at::Tensor slot = torch::arange(side * side, at::kLong);
  const at::Tensor row = slot.div(side, "floor"), column = slot.remainder(side);
  const auto offsets = [side](const at::Tensor& of) { return of.unsqueeze(1) - of.unsqueeze(0) + (side - 1); };
  return (offsets(row) * (2 * side - 1) + offsets(column)).flatten();
}

at::Tensor resize_positions(const at::Tensor& table, int64_t side) {
  const auto from = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(table.size(0)))));
  IUQ_ASSERT(table.dim() == 2 && from * from == table.size(0) && from % 2 == 1);
  const int64_t to = 2 * side - 1;
  const at::Tensor image = table.view({1, from, from, table.size(1)}).permute({0, 3, 1, 2});
  return at::upsample_bicubic2d(image, {to, to}, /*align_corners=*/false).permute({0, 2, 3, 1}).reshape({to * to, -1});
}

at::Tensor to_windows(const at::Tensor& rows, const WindowPlan& plan) {
  const int64_t tokens = plan.slot.size(0), batch = rows.size(0) / tokens, slots = plan.token.size(0);
  return MoveRows::apply(rows, for_batch(plan.token, batch, tokens), for_batch(plan.pads, batch, slots),
                         for_batch(plan.slot, batch, slots), torch::empty({0}, plan.pads.options()));
}

at::Tensor from_windows(const at::Tensor& rows, const WindowPlan& plan) {
  const int64_t tokens = plan.slot.size(0), slots = plan.token.size(0), batch = rows.size(0) / slots;
  return MoveRows::apply(rows, for_batch(plan.slot, batch, slots), torch::empty({0}, plan.pads.options()),
                         for_batch(plan.token, batch, tokens), for_batch(plan.pads, batch, slots));
}

}  // namespace iuq::nn
