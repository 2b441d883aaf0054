#include "lib/view/sample.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "lib/data/annotations.h"
#include "lib/data/image.h"
#include "lib/io/atomic_file.h"
#include "lib/mask/rle.h"

namespace iuq::view {
namespace {

Size fitted(const InputConfig& config, Size original, int64_t short_side) {
  const auto [height, width] = data::fit_size(original.height, original.width, short_side, config.long_side);
  return {height, width};
}

Size size_of(const data::Image& image) { return {image.height, image.width}; }

// A decoded mask at its new size: a pixel belongs to the instance when at least half of what it covers does.
cv::Mat resized_mask(const std::vector<uint8_t>& bits, Size original, Size valid) {
  cv::Mat mask(static_cast<int>(original.height), static_cast<int>(original.width), CV_8U,
               const_cast<uint8_t*>(bits.data()));
  if (original == valid) return mask.clone();
  cv::Mat scaled = mask * 255;
  const bool shrinks = valid.width < original.width;
  cv::resize(scaled, scaled, cv::Size(static_cast<int>(valid.width), static_cast<int>(valid.height)), 0, 0,
             shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  return scaled >= 128;
}

Instances read_truth(const data::Dataset& dataset, int64_t index, const Placement& placement) {
  const data::Image& image = dataset.images()[static_cast<size_t>(index)];
  const auto [valid_height, valid_width] = placement.valid();
  const auto [height, width] = placement.canvas;
  const cv::Rect kept(static_cast<int>(placement.left), static_cast<int>(placement.top), static_cast<int>(valid_width),
                      static_cast<int>(valid_height));
  Instances truth;
  truth.image_id = image.id;
  std::vector<int64_t> labels;
  std::vector<at::Tensor> masks;
  std::vector<uint8_t> bits(static_cast<size_t>(image.height * image.width));
  for (int64_t a = image.first; a < image.first + image.count; ++a) {
    const data::Annotation& annotation = dataset.annotations()[static_cast<size_t>(a)];
    if (annotation.crowd) continue;
    mask::decode(dataset.mask(a), bits.data());
    cv::Mat mask = resized_mask(bits, size_of(image), placement.resized);
    if (placement.mirror) cv::flip(mask, mask, 1);
    mask = mask(kept).clone();
    if (cv::countNonZero(mask) == 0) continue;  // thinner than a pixel at this size, or cropped away
    at::Tensor on_canvas = at::zeros({height, width}, at::kByte);
    on_canvas.slice(0, 0, valid_height)
        .slice(1, 0, valid_width)
        .copy_(torch::from_blob(mask.data, {valid_height, valid_width}, at::kByte));
    masks.push_back(on_canvas.ne(0));
    labels.push_back(annotation.category);
    truth.instance_ids.push_back(annotation.id);
  }
  truth.labels = torch::tensor(labels, at::kLong);
  truth.masks = masks.empty() ? at::zeros({0, height, width}, at::kBool) : at::stack(masks);
  return truth;
}

// Sizes and pixels; the ground truth stays empty.
Sample read_scene(const data::Image& image, const std::string& images, const InputConfig& config,
                 const Placement& placement) {
  const Size& resized = placement.resized;
  Sample scene{{}, {}, placement.valid(), size_of(image)};
  data::Pixels pixels = data::read_image(io::join(images, image.file_name), image.height, image.width);
  if (!(resized == scene.original)) {
    pixels = placement.smooth ? data::resize_smooth(pixels, resized.height, resized.width)
                              : data::resize(pixels, resized.height, resized.width);
  }
  // The part that is kept, before it is mirrored.
  const int64_t left = placement.mirror ? resized.width - placement.left - scene.valid.width : placement.left;
  if (!(scene.valid == resized)) {
    pixels = data::crop(pixels, placement.top, left, scene.valid.height, scene.valid.width);
  }
  scene.image = to_input(pixels, config, placement.canvas, placement.pad_value);
  if (placement.mirror) {
    // About the valid width: the padding stays at the right.
    const at::Tensor valid = scene.image.slice(2, 0, scene.valid.width);
    valid.copy_(valid.flip(2));
  }
  return scene;
}

}  // namespace

Size Placement::valid() const {
  return {std::min(resized.height - top, canvas.height), std::min(resized.width - left, canvas.width)};
}

Placement plain_placement(const InputConfig& config, Size original, int64_t short_side, bool mirror) {
  Placement out;
  out.resized = fitted(config, original, short_side);
  out.mirror = mirror;
  out.canvas = round_up(out.resized, config.divisor);
  return out;
}

Placement draw_jitter(const InputConfig& config, Size original, bool mirror, Rng& rng) {
  const JitterConfig& lsj = config.lsj;
  const double side = rng.uniform(lsj.min_scale, lsj.max_scale) * static_cast<double>(lsj.size);
  const double scale = side / static_cast<double>(std::max(original.height, original.width));
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, std::llround(scale * static_cast<double>(length))); };
  const auto draw_first = [&](int64_t length) { return rng.below(std::max<int64_t>(0, length - lsj.size) + 1); };
  Placement out;
  out.resized = {scaled(original.height), scaled(original.width)};
  out.mirror = mirror;
  out.top = draw_first(out.resized.height);
  out.left = draw_first(out.resized.width);
  out.canvas = {lsj.size, lsj.size};
  out.smooth = true;
  out.pad_value = lsj.pad_value;
  return out;
}

ViewTransform from_test_size(const Placement& placement, const InputConfig& config, Size original) {
  const Size test = fitted(config, original, config.short_side.back());
  // Resizing keeps the outer edges of the image, which are half a pixel from the centres of its outermost pixels.
  const auto axis = [](int64_t from, int64_t to, bool mirror, int64_t first) {
    const double scale = static_cast<double>(to) / static_cast<double>(from);
    const double offset = (scale - 1) / 2;
    return mirror ? AxisMap{-scale, static_cast<double>(to - 1 - first) - offset}
                  : AxisMap{scale, offset - static_cast<double>(first)};
  };
  return {axis(test.width, placement.resized.width, placement.mirror, placement.left),
          axis(test.height, placement.resized.height, false, placement.top), placement.canvas};
}

Size canvas_of(const InputConfig& config, Size original, int64_t short_side) {
  return round_up(fitted(config, original, short_side), config.divisor);
}

Sample load_truth(const data::Dataset& dataset, int64_t index, const InputConfig& config, int64_t short_side,
                 bool mirror) {
  const Size original = size_of(dataset.images()[static_cast<size_t>(index)]);
  const Placement placement = plain_placement(config, original, short_side, mirror);
  return {{}, read_truth(dataset, index, placement), placement.valid(), original};
}

Sample load_image(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side) {
  const data::Image& image = dataset.images()[static_cast<size_t>(index)];
  return read_scene(image, images, config, plain_placement(config, size_of(image), short_side, false));
}

Sample load_sample(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side, bool mirror) {
  const Size original = size_of(dataset.images()[static_cast<size_t>(index)]);
  return load_sample(dataset, index, images, config, plain_placement(config, original, short_side, mirror));
}

Sample load_sample(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 const Placement& placement) {
  Sample scene = read_scene(dataset.images()[static_cast<size_t>(index)], images, config, placement);
  scene.truth = read_truth(dataset, index, placement);
  return scene;
}

Instances transform(const Instances& truth, const ViewTransform& view, int64_t min_pixels) {
  Instances out;
  out.image_id = truth.image_id;
  if (truth.count() == 0) {
    out.labels = truth.labels;
    out.masks = at::zeros({0, view.size.height, view.size.width}, at::kBool);
    return out;
  }
  const at::Tensor masks = view.is_identity() ? truth.masks : view.apply_masks(truth.masks);
  const at::Tensor areas = masks.flatten(1).sum(1).to(at::kCPU);  // [N] int64
  std::vector<int64_t> kept;
  for (int64_t n = 0; n < truth.count(); ++n) {
    if (areas[n].item<int64_t>() < min_pixels) continue;
    kept.push_back(n);
    out.instance_ids.push_back(truth.instance_ids[static_cast<size_t>(n)]);
  }
  const at::Tensor rows = torch::tensor(kept, at::kLong);
  out.labels = truth.labels.index_select(0, rows);
  out.masks = masks.index_select(0, rows);
  return out;
}

}  // namespace iuq::view
