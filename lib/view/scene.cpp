#include "lib/view/scene.h"

#include <torch/types.h>

#include <opencv2/imgproc.hpp>

#include "lib/base/error.h"
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

GroundTruth read_truth(const data::Dataset& dataset, int64_t index, Size valid, Size canvas, bool mirror) {
  const data::Image& image = dataset.images()[static_cast<size_t>(index)];
  GroundTruth truth;
  truth.image_id = image.id;
  std::vector<int64_t> labels;
  std::vector<at::Tensor> masks;
  std::vector<uint8_t> bits(static_cast<size_t>(image.height * image.width));
  for (int64_t a = image.first; a < image.first + image.count; ++a) {
    const data::Annotation& annotation = dataset.annotations()[static_cast<size_t>(a)];
    if (annotation.crowd) continue;
    mask::decode(dataset.mask(a), bits.data());
    cv::Mat mask = resized_mask(bits, {image.height, image.width}, valid);
    if (mirror) cv::flip(mask, mask, 1);
    at::Tensor on_canvas = at::zeros({canvas.height, canvas.width}, at::kByte);
    on_canvas.slice(0, 0, valid.height)
        .slice(1, 0, valid.width)
        .copy_(torch::from_blob(mask.data, {valid.height, valid.width}, at::kByte));
    if (cv::countNonZero(mask) == 0) continue;  // thinner than a pixel at this size
    masks.push_back(on_canvas.ne(0));
    labels.push_back(annotation.category);
    truth.instance_ids.push_back(annotation.id);
  }
  truth.labels = torch::tensor(labels, at::kLong);
  truth.masks = masks.empty() ? at::zeros({0, canvas.height, canvas.width}, at::kBool) : at::stack(masks);
  return truth;
}

Scene frame_of(const data::Image& image, const InputConfig& config, int64_t short_side) {
  Scene scene;
  scene.original = {image.height, image.width};
  scene.valid = fitted(config, scene.original, short_side);
  return scene;
}

}  // namespace

Size canvas_of(const InputConfig& config, Size original, int64_t short_side) {
  return round_up(fitted(config, original, short_side), config.divisor);
}

Scene load_truth(const data::Dataset& dataset, int64_t index, const InputConfig& config, int64_t short_side,
                 bool mirror) {
  Scene scene = frame_of(dataset.images()[static_cast<size_t>(index)], config, short_side);
  scene.truth = read_truth(dataset, index, scene.valid, round_up(scene.valid, config.divisor), mirror);
  return scene;
}

Scene load_image(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side) {
  const data::Image& image = dataset.images()[static_cast<size_t>(index)];
  Scene scene = frame_of(image, config, short_side);
  data::Pixels pixels = data::read_image(io::join(images, image.file_name), image.height, image.width);
  if (!(scene.valid == scene.original)) pixels = data::resize(pixels, scene.valid.height, scene.valid.width);
  scene.image = to_input(pixels, config, round_up(scene.valid, config.divisor));
  return scene;
}

Scene load_scene(const data::Dataset& dataset, int64_t index, const std::string& images, const InputConfig& config,
                 int64_t short_side, bool mirror) {
  Scene scene = load_image(dataset, index, images, config, short_side);
  scene.truth = load_truth(dataset, index, config, short_side, mirror).truth;
  if (mirror) {
    // About the valid width: the padding stays at the right.
    const at::Tensor valid = scene.image.slice(2, 0, scene.valid.width);
    valid.copy_(valid.flip(2));
  }
  return scene;
}

GroundTruth transform(const GroundTruth& truth, const ViewTransform& view, int64_t min_pixels) {
  GroundTruth out;
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
