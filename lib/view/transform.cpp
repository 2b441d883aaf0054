#include "lib/view/transform.h"

#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::view {
namespace {

// Output index i of an axis reads source positions low[i] and low[i]+1 with weights 1-fraction[i] and fraction[i].
struct Gather {
  std::vector<int64_t> low, high;
  std::vector<float> weight_low, weight_high;
  bool interpolates = false;  // some weight_high is not 0
  bool has_outside = false;   // some output shows nothing
};

constexpr double kGridTolerance = 1e-6;  // positions this near to a whole index are that index

Gather plan(const AxisMap& map, int64_t source, int64_t output, bool nearest) {
  Gather g;
  for (int64_t i = 0; i < output; ++i) {
    double position = (static_cast<double>(i) - map.offset) / map.scale;
    const double whole = std::round(position);
    if (nearest || std::abs(position - whole) < kGridTolerance) position = whole;
    const bool inside = position >= 0 && position <= static_cast<double>(source - 1);
    const auto low = inside ? static_cast<int64_t>(std::floor(position)) : 0;
    const double fraction = inside ? position - static_cast<double>(low) : 0;
    g.low.push_back(low);
    g.high.push_back(std::min(low + 1, source - 1));
    g.weight_low.push_back(inside ? static_cast<float>(1 - fraction) : 0.0f);
    g.weight_high.push_back(static_cast<float>(fraction));
    g.interpolates = g.interpolates || fraction != 0;
    g.has_outside = g.has_outside || !inside;
  }
  return g;
}

template <class T>
at::Tensor vector_tensor(const std::vector<T>& values, at::ScalarType type, const at::Tensor& like) {
  return torch::tensor(at::ArrayRef<T>(values), at::TensorOptions().dtype(type)).to(like.device());
}

// t [..., n, ...] -> [..., output, ...] along `dim`.
at::Tensor resample(const at::Tensor& t, int64_t dim, const AxisMap& map, int64_t output, bool nearest) {
  const Gather g = plan(map, t.size(dim), output, nearest);
  std::vector<int64_t> shape(static_cast<size_t>(t.dim()), 1);
  shape[static_cast<size_t>(dim < 0 ? dim + t.dim() : dim)] = output;
  at::Tensor out = t.index_select(dim, vector_tensor(g.low, at::kLong, t));
  if (g.interpolates || g.has_outside) {
    out = out * vector_tensor(g.weight_low, at::kFloat, t).to(t.scalar_type()).view(shape);
  }
  if (g.interpolates) {
    out = out + t.index_select(dim, vector_tensor(g.high, at::kLong, t)) *
                    vector_tensor(g.weight_high, at::kFloat, t).to(t.scalar_type()).view(shape);
  }
  return out;
}

// The map of feature indices that belongs to a map of pixel indices: pixel = stride*index + centre on both sides.
AxisMap on_grid(const AxisMap& map, int64_t stride, Alignment alignment) {
  const auto s = static_cast<double>(stride);
  const double centre = alignment == Alignment::kPatch ? (s - 1) / 2 : 0;
  return {map.scale, (map.scale * centre + map.offset - centre) / s};
}

AxisMap compose(const AxisMap& first, const AxisMap& second) {
  return {second.scale * first.scale, second.scale * first.offset + second.offset};
}

AxisMap inverted(const AxisMap& map) { return {1 / map.scale, -map.offset / map.scale}; }

}  // namespace

Size round_up(Size size, int64_t divisor) {
  const auto up = [divisor](int64_t n) { return (n + divisor - 1) / divisor * divisor; };
  return {up(size.height), up(size.width)};
}

ViewTransform ViewTransform::identity(Size canvas) { return {{}, {}, canvas}; }

ViewTransform ViewTransform::flip_x(Size canvas, Alignment alignment) {
  const double last = static_cast<double>(canvas.width - (alignment == Alignment::kPatch ? 1 : 0));
  return {{-1, last}, {}, canvas};
}

ViewTransform ViewTransform::flip_y(Size canvas, Alignment alignment) {
  const double last = static_cast<double>(canvas.height - (alignment == Alignment::kPatch ? 1 : 0));
  return {{}, {-1, last}, canvas};
}

ViewTransform ViewTransform::crop(Size canvas, int64_t left, int64_t top, double scale) {
  return {{scale, -scale * static_cast<double>(left)}, {scale, -scale * static_cast<double>(top)}, canvas};
}

ViewTransform ViewTransform::then(const ViewTransform& next) const {
  return {compose(x, next.x), compose(y, next.y), next.size};
}

ViewTransform ViewTransform::inverse(Size source) const { return {inverted(x), inverted(y), source}; }

bool ViewTransform::is_identity() const {
  return x.scale == 1 && x.offset == 0 && y.scale == 1 && y.offset == 0;
}

at::Tensor ViewTransform::apply_image(const at::Tensor& image) const {
  return resample(resample(image, -1, x, size.width, false), -2, y, size.height, false);
}

at::Tensor ViewTransform::apply_masks(const at::Tensor& masks) const {
  const at::Tensor bytes = masks.to(at::kByte);
  return resample(resample(bytes, -1, x, size.width, true), -2, y, size.height, true).to(masks.scalar_type());
}

at::Tensor ViewTransform::apply_features(const at::Tensor& features, int64_t stride, Alignment alignment) const {
  const at::Tensor columns = resample(features, -1, on_grid(x, stride, alignment), size.width / stride, false);
  return resample(columns, -2, on_grid(y, stride, alignment), size.height / stride, false);
}

at::Tensor ViewTransform::valid(Size source, int64_t stride, Alignment alignment) const {
  const at::Tensor ones = at::ones({source.height / stride, source.width / stride}, at::kFloat);
  return apply_features(ones, stride, alignment) > 0.999;
}

void to_json(nlohmann::json& j, const ViewTransform& t) {
  j = {t.x.scale, t.x.offset, t.y.scale, t.y.offset, t.size.height, t.size.width};
}

void from_json(const nlohmann::json& j, ViewTransform& t) {
  bool ok = j.is_array() && j.size() == 6;
  for (size_t i = 0; ok && i < 6; ++i) ok = j[i].is_number() && (i < 4 || j[i].get<double>() >= 1);
  if (!ok || j[0].get<double>() == 0 || j[2].get<double>() == 0) {
    throw Error(ErrorCode::kBadData, cat("a view transform is six numbers [sx, ox, sy, oy, height, width], not ", j));
  }
  t = {{j[0], j[1]}, {j[2], j[3]}, {j[4], j[5]}};
}

ConfigFields ViewConfig::fields() {
  return {
      {"flip", &flip, "probability of a horizontal flip; otherwise, or also, a crop", Range::closed(0, 1)},
      {"flip_vertical", &flip_vertical, "probability of a vertical flip, for data where it makes sense",
       Range::closed(0, 1)},
      {"both", &both, "probability that a crop is composed with the flip", Range::closed(0, 1)},
      {"min_area", &min_area, "smallest crop, as a share of the canvas", Range::left_open(0, 1)},
      {"resize", &resize, "enlarge the crop to the canvas (changes the scale of objects)"},
      {"grid", &grid, "crops start and end on multiples of it, in pixels; the largest stride", Range::at_least(1)},
  };
}

void ViewConfig::check() const { check_ranges(*this); }

ViewTransform draw_view(const ViewConfig& config, Size canvas, Alignment alignment, Rng& rng) {
  // The numbers are always drawn in the same order, so that one setting does not shift the others.
  const bool flips = rng.uniform() < config.flip;
  const bool flips_y = rng.uniform() < config.flip_vertical;
  const bool both = rng.uniform() < config.both;
  const double area = rng.uniform(config.min_area, 1.0);
  const double aspect = std::exp(rng.uniform(-0.25, 0.25));
  const double at_x = rng.uniform();
  const double at_y = rng.uniform();

  ViewTransform view = ViewTransform::identity(canvas);
  if (!(flips || flips_y) || both) {
    const auto whole = [&](double length, int64_t limit) {
      const auto cells = static_cast<int64_t>(std::lround(length / static_cast<double>(config.grid)));
      return std::clamp<int64_t>(cells * config.grid, config.grid, limit);
    };
    const Size window{whole(std::sqrt(area / aspect) * static_cast<double>(canvas.height), canvas.height),
                      whole(std::sqrt(area * aspect) * static_cast<double>(canvas.width), canvas.width)};
    const Size room{canvas.height - window.height, canvas.width - window.width};
    if (config.resize) {
      const auto place = [&](double at, int64_t free) {
        return static_cast<int64_t>(at * static_cast<double>(free / config.grid + 1)) * config.grid;
      };
      const double scale = std::min(static_cast<double>(canvas.width) / static_cast<double>(window.width),
                                    static_cast<double>(canvas.height) / static_cast<double>(window.height));
      view = ViewTransform::crop(canvas, place(at_x, room.width), place(at_y, room.height), scale);
    } else {
      // The window is one of the four corners and moves to the opposite one.
      view = ViewTransform::crop(canvas, at_x < 0.5 ? -room.width : room.width,
                                 at_y < 0.5 ? -room.height : room.height, 1.0);
    }
    if (view.is_identity() && config.flip > 0 && !flips) view = ViewTransform::flip_x(canvas, alignment);
  }
  if (flips) view = view.then(ViewTransform::flip_x(canvas, alignment));
  if (flips_y) view = view.then(ViewTransform::flip_y(canvas, alignment));
  return view;
}

}  // namespace iuq::view
