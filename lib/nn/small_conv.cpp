#include "lib/nn/small_conv.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>

#include "lib/base/error.h"
#include "lib/view/shape.h"

namespace iuq::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Measured at 8 images on AVX2: of maps with more values in their neighbourhoods LibTorch's convolution is as fast or
// faster; unless it gives few channels, which leave most lanes of its blocks empty.
constexpr int64_t kMostValues = int64_t{1} << 15;
constexpr int64_t kFewChannels = 8;
constexpr int64_t kMostValuesOfFew = int64_t{1} << 17;

/// Sizes of a convolution over maps [B, H, W, C] whose neighbourhoods are rows [B * Ho * Wo, k * k * C].
struct Shape {
  int64_t batch, height, width, channels;  // of x
  int64_t kernel, stride;

  int64_t out_height() const { return (height - 1) / stride + 1; }
  int64_t out_width() const { return (width - 1) / stride + 1; }
  int64_t cells() const { return out_height() * out_width(); }  // of an image
  int64_t row() const { return kernel * kernel * channels; }
  bool is_product() const { return kernel == 1 && stride == 1; }  // of the map's own rows
  // The first row or column of x that the kernel covers at an output.
  int64_t first(int64_t out) const { return out * stride - kernel / 2; }
};

// body(values of a row of `rows`, values of its map) for each run of values that stand side by side in both; null for the
// map where the kernel hangs over its edge.
template <class Body>
void for_runs(const Shape& s, float* rows, int64_t image, float* map, const Body& body) {
  const int64_t image_size = s.height * s.width * s.channels;
  float* to = rows + image * s.cells() * s.row();
  float* const from = map + image * image_size;
  for (int64_t oy = 0; oy < s.out_height(); ++oy) {
    for (int64_t ox = 0; ox < s.out_width(); ++ox) {
      const int64_t left = s.first(ox), begin = std::max<int64_t>(0, left), end = std::min(s.width, left + s.kernel);
      for (int64_t y = s.first(oy); y < s.first(oy) + s.kernel; ++y, to += s.kernel * s.channels) {
        if (y < 0 || y >= s.height) {
          body(to, nullptr, s.kernel * s.channels);
          continue;
        }
        body(to, nullptr, (begin - left) * s.channels);
        body(to + (begin - left) * s.channels, from + (y * s.width + begin) * s.channels, (end - begin) * s.channels);
        body(to + (end - left) * s.channels, nullptr, (left + s.kernel - end) * s.channels);
      }
    }
  }
}

// Images are few and small: a second thread takes its share only where there is something to do.
template <class Body>
void for_images(const Shape& s, const Body& body) {
  constexpr int64_t kValues = 1 << 17;
  const int64_t grain = std::max<int64_t>(1, kValues / std::max<int64_t>(1, s.cells() * s.row()));
  at::parallel_for(0, s.batch, grain, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) body(image);
  });
}

// The neighbourhoods in a map [B * H * W, C]: [B * Ho * Wo, k * k * C].
at::Tensor gathered(const Shape& s, const at::Tensor& map) {
  const at::Tensor rows = at::empty({s.batch * s.cells(), s.row()}, map.options());
  float* const from = map.data_ptr<float>();
  float* const to = rows.data_ptr<float>();
  for_images(s, [&](int64_t image) {
    for_runs(s, to, image, from, [](float* row, const float* values, int64_t count) {
      const auto bytes = static_cast<size_t>(count) * sizeof(float);
      if (values) std::memcpy(row, values, bytes);
      else std::memset(row, 0, bytes);
    });
  });
  return rows;
}

// The transpose of gathered: a map to which each row adds its neighbourhood.
at::Tensor scattered(const Shape& s, const at::Tensor& rows) {
  const at::Tensor map = at::zeros({s.batch * s.height * s.width, s.channels}, rows.options());
  float* const from = rows.data_ptr<float>();
  float* const to = map.data_ptr<float>();
  for_images(s, [&](int64_t image) {
    for_runs(s, from, image, to, [](const float* row, float* values, int64_t count) {
      for (int64_t i = 0; values && i < count; ++i) values[i] += row[i];
    });
  });
  return map;
}

// A map [B, C, H, W] as rows [B * H * W, C].
at::Tensor as_rows(const at::Tensor& map) {
  return map.permute({0, 2, 3, 1}).contiguous().view({-1, map.size(1)});
}

// `bias` is empty where there is none: the engine takes no undefined tensors.
class SmallConv : public torch::autograd::Function<SmallConv> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, int64_t stride) {
    const Shape s{x.size(0), x.size(2), x.size(3), x.size(1), weight.size(2), stride};
    at::Tensor rows = as_rows(x);
    if (!s.is_product()) rows = gathered(s, rows);
    const at::Tensor matrix = weight.permute({0, 2, 3, 1}).reshape({weight.size(0), s.row()});  // [O, k * k * C]
    // A tensor of its own, not a view, so that what follows may work in place.
    const at::Tensor out = at::empty({s.batch, weight.size(0), s.out_height(), s.out_width()}, x.options(),
                                     at::MemoryFormat::ChannelsLast);
    at::Tensor cells = out.permute({0, 2, 3, 1}).view({-1, weight.size(0)});
    const bool has_bias = bias.numel() > 0;
    if (has_bias) at::addmm_out(cells, bias, rows, matrix.t());
    else at::mm_out(cells, rows, matrix.t());
    context->save_for_backward({weight.requires_grad() ? rows : at::Tensor(), x.requires_grad() ? matrix : at::Tensor()});
    context->saved_data["sizes"] = std::vector<int64_t>{s.batch, s.height, s.width, s.channels, s.kernel, s.stride};
    context->saved_data["bias"] = has_bias && bias.requires_grad();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_out) {
    // As deform_attn: what is returned here would be constants to create_graph.
    if (at::GradMode::is_enabled()) throw Error(ErrorCode::kInternal, "small_conv2d has no second derivatives");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &rows = saved[0], &matrix = saved[1];
    const std::vector<int64_t> z = context->saved_data["sizes"].toIntVector();
    const Shape s{z[0], z[1], z[2], z[3], z[4], z[5]};
    const at::Tensor grad = as_rows(grad_out[0]);  // [B * Ho * Wo, O]
    variable_list grads(4);
    if (matrix.defined()) {
      at::Tensor map = grad.mm(matrix);
      if (!s.is_product()) map = scattered(s, map);
      grads[0] = map.view({s.batch, s.height, s.width, s.channels}).permute({0, 3, 1, 2});
    }
    if (rows.defined()) {
      grads[1] = grad.t().mm(rows).view({-1, s.kernel, s.kernel, s.channels}).permute({0, 3, 1, 2});
    }
    if (context->saved_data["bias"].toBool()) grads[2] = grad.sum(0);
    return grads;
  }
};

}  // namespace

bool is_small_conv(const at::Tensor& x, const at::Tensor& weight, int64_t stride) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || !at::GradMode::is_enabled()) return false;
  const Shape s{x.size(0), x.size(2), x.size(3), x.size(1), weight.size(2), stride};
  return s.cells() * s.row() <= (weight.size(0) < kFewChannels ? kMostValuesOfFew : kMostValues);
}

at::Tensor small_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride) {
  view::expect_shape(x, {-1, weight.size(1), -1, -1}, at::kFloat, "x");
  view::expect_shape(weight, {-1, -1, weight.size(3), weight.size(2)}, at::kFloat, "weight");
  IUQ_ASSERT(weight.size(2) % 2 == 1 && stride > 0);
  const at::Tensor none = at::empty({0}, weight.options().requires_grad(false));
  return SmallConv::apply(x, weight, bias.defined() ? bias : none, stride);
}

}  // namespace iuq::nn
