// Writes a made-up evaluation of the size of COCO val or LVIS val to a folder: gt.json, dt_segm.json (masks, no boxes) and
// dt_bbox.json. The same bytes every time.
//   coco: 5000 images, 80 categories, 34 thousand instances (1 % crowd), 100 detections an image, 150 MB of masks
//   lvis: 2000 images, 1203 categories, 25 thousand instances, 300 detections an image, 180 MB of masks
// usage: eval_workload coco|lvis FOLDER
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/mask/rle.h"
#include "tests/support/normal.h"

namespace {

using iuq::Rng;

struct Size {
  int images, categories, detections;
  double instances;           // an image, on average
  double copies;              // detections that follow an instance
  int vertices;               // of an annotation
  bool lvis;
};
constexpr Size kCoco = {5000, 80, 100, 6.8, 3.6, 45, false};
constexpr Size kLvis = {2000, 1203, 300, 12.7, 5, 45, true};

/// A wobbly closed outline.
struct Shape {
  double x, y, rx, ry, phase, wobble;
  int category;

  std::vector<double> outline(int vertices, double width, double height) const {
    std::vector<double> xy;
    for (int i = 0; i < vertices; ++i) {
      const double angle = 2 * std::numbers::pi * i / vertices;
      const double r = 1 + wobble * std::sin(5 * angle + phase) + wobble / 2 * std::sin(11 * angle - phase);
      xy.push_back(std::clamp(x + rx * r * std::cos(angle), 0.0, width));
      xy.push_back(std::clamp(y + ry * r * std::sin(angle), 0.0, height));
    }
    return xy;
  }
};

Shape draw_shape(Rng& rng, int category, double width, double height) {
  const double size = 6 * std::exp(rng.uniform() * 3.2);  // 6 to 147 pixels of radius, small ones as often as large
  return {rng.uniform() * width, rng.uniform() * height, size * rng.uniform(0.6, 1.2), size * rng.uniform(0.6, 1.2),
          rng.uniform() * 6, rng.uniform(0.02, 0.15), category};
}

// What a detector would make of an instance, good or bad.
Shape detected(const Shape& shape, Rng& rng) {
  Shape copy = shape;
  const double error = 0.02 + 0.4 * rng.uniform() * rng.uniform();
  copy.x += shape.rx * error * iuq::test::normal(rng);
  copy.y += shape.ry * error * iuq::test::normal(rng);
  copy.rx *= 1 + error * iuq::test::normal(rng) * 0.5;
  copy.ry *= 1 + error * iuq::test::normal(rng) * 0.5;
  copy.rx = std::max(copy.rx, 1.0);
  copy.ry = std::max(copy.ry, 1.0);
  copy.phase += error * iuq::test::normal(rng);
  return copy;
}

class Output {
 public:
  explicit Output(const std::string& path) : file_(std::fopen(path.c_str(), "w"), &std::fclose) {
    if (!file_) throw iuq::Error(iuq::ErrorCode::kCannotCreate, "cannot write " + path);
  }
  template <class... Args>
  void print(const char* format, Args... args) { std::fprintf(file_.get(), format, args...); }
  void text(const std::string& text) { std::fwrite(text.data(), 1, text.size(), file_.get()); }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

std::string escaped(const std::string& counts) {
  std::string out;
  for (const char c : counts) out += c == '\\' ? "\\\\" : std::string(1, c);
  return out;
}

class Workload {
 public:
  Workload(const Size& size, const std::string& folder)
      : size_(size), gt_(folder + "/gt.json"), segm_(folder + "/dt_segm.json"), bbox_(folder + "/dt_bbox.json") {}

  void write() {
    std::string images, categories;
    gt_.text("{\"annotations\": [");
    segm_.text("[");
    bbox_.text("[");
    for (int image = 1; image <= size_.images; ++image) {
      char line[256];
      Rng rng(1, "eval-workload", static_cast<uint64_t>(image));
      width_ = 480 + static_cast<int>(rng.below(161));
      height_ = 360 + static_cast<int>(rng.below(121));
      std::snprintf(line, sizeof line, "%s{\"id\": %d, \"width\": %d, \"height\": %d, \"file_name\": \"%012d.jpg\"", image > 1 ? ", " : "",
                    image, width_, height_, image);
      images += line;
      write_image(image, rng);
      if (size_.lvis) images += ", \"neg_category_ids\": " + negative_ + ", \"not_exhaustive_category_ids\": " + partial_;
      images += "}";
    }
    for (int k = 1; k <= size_.categories; ++k) {
      const char frequency = k % 4 == 0 ? 'r' : k % 3 == 0 ? 'c' : 'f';
      categories += iuq::cat(k > 1 ? ", " : "", "{\"id\": ", k, ", \"name\": \"category ", k, "\", \"frequency\": \"", frequency, "\"}");
    }
    gt_.text("], \"images\": [" + images + "], \"categories\": [" + categories + "]}\n");
    segm_.text("]\n");
    bbox_.text("]\n");
  }

 private:
  void write_image(int image, Rng& rng) {
    std::vector<Shape> shapes;
    // A few categories share an image, the first ones more often.
    std::vector<int> here;
    for (int i = 0; i < 4; ++i) here.push_back(1 + static_cast<int>(size_.categories * std::pow(rng.uniform(), 2)));
    const auto count = static_cast<int>(2 * size_.instances * rng.uniform() + 0.5);
    for (int i = 0; i < count; ++i) {
      shapes.push_back(draw_shape(rng, here[static_cast<size_t>(rng.below(4))], width_, height_));
      write_annotation(image, shapes.back(), rng);
    }
    negative_ = iuq::cat("[", 1 + rng.below(size_.categories), ", ", 1 + rng.below(size_.categories), "]");
    partial_ = rng.below(4) == 0 ? iuq::cat("[", here[0], "]") : "[]";
    const auto follow = static_cast<size_t>(size_.copies * count);
    for (int i = 0; i < size_.detections; ++i) {
      const bool real = !shapes.empty() && static_cast<size_t>(i) < follow;
      const int category = rng.below(8) ? here[static_cast<size_t>(rng.below(4))]
                                        : 1 + static_cast<int>(rng.below(size_.categories));
      const Shape shape = real ? detected(shapes[static_cast<size_t>(i) % shapes.size()], rng)
                               : draw_shape(rng, category, width_, height_);
      write_detection(image, shape, real ? 1 - rng.uniform() * rng.uniform() : rng.uniform() * 0.7);
    }
  }

  void write_annotation(int image, const Shape& shape, Rng& rng) {
    const bool crowd = !size_.lvis && rng.below(80) == 0;
    const auto outline = shape.outline(size_.vertices, width_, height_);
    const iuq::mask::Rle rle = iuq::mask::from_polygons({outline}, height_, width_);
    const auto box = iuq::mask::to_box(rle);
    gt_.print("%s{\"segmentation\": ", annotations_++ ? ", " : "");
    if (crowd) {
      gt_.text("{\"counts\": [");
      for (size_t i = 0; i < rle.counts.size(); ++i) gt_.print("%s%u", i ? ", " : "", rle.counts[i]);
      gt_.print("], \"size\": [%d, %d]}", height_, width_);
    } else {
      for (size_t i = 0; i < outline.size(); ++i) gt_.print("%s%.2f", i ? ", " : "[[", outline[i]);
      gt_.text("]]");
    }
    gt_.print(", \"area\": %u, \"iscrowd\": %d, \"image_id\": %d, \"bbox\": [%.2f, %.2f, %.2f, %.2f], \"category_id\": %d, \"id\": %d}",
              iuq::mask::area(rle), crowd ? 1 : 0, image, box[0], box[1], box[2], box[3], shape.category, annotations_);
  }

  void write_detection(int image, const Shape& shape, double score) {
    const iuq::mask::Rle rle = iuq::mask::from_polygons({shape.outline(60, width_, height_)}, height_, width_);
    const auto box = iuq::mask::to_box(rle);
    const char* const comma = detections_++ ? ", " : "";
    segm_.print("%s{\"image_id\": %d, \"category_id\": %d, \"score\": %.17g, \"segmentation\": {\"size\": [%d, %d], \"counts\": \"", comma,
                image, shape.category, score, height_, width_);
    segm_.text(escaped(iuq::mask::to_string(rle)));
    segm_.text("\"}}");
    bbox_.print("%s{\"image_id\": %d, \"category_id\": %d, \"bbox\": [%.17g, %.17g, %.17g, %.17g], \"score\": %.17g}", comma, image,
                shape.category, box[0] + score / 3, box[1] + score / 7, box[2] + score, box[3] + score / 2, score);
  }

  const Size& size_;
  Output gt_, segm_, bbox_;
  int width_ = 0, height_ = 0, annotations_ = 0, detections_ = 0;
  std::string negative_, partial_;
};

}  // namespace

int main(int argc, char** argv) {
  const bool lvis = argc == 3 && std::strcmp(argv[1], "lvis") == 0;
  if (argc != 3 || (!lvis && std::strcmp(argv[1], "coco") != 0)) {
    std::fprintf(stderr, "usage: eval_workload coco|lvis FOLDER\n");
    return 64;
  }
  try {
    Workload(lvis ? kLvis : kCoco, argv[2]).write();
  } catch (const iuq::Error& e) {
    std::fprintf(stderr, "eval_workload: error: %s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
