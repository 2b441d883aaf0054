// Writes a made-up annotations file of the size and layout of COCO's instances_train2017.json: 118 000 images, 826 000
// instances (1 % crowds as RLE) in no order of images, 80 categories, 578 MB. The same bytes every time.
// usage: annotations_workload FILE [IMAGES]     IMAGES: default 118000; 7 instances each
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "lib/base/rng.h"

namespace {

using iuq::Rng;

constexpr int64_t kInstances = 7;  // an image
constexpr int kCategories = 80;
constexpr int kWidth = 640, kHeight = 480;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// A wobbly closed outline inside the image, to hundredths of a pixel as in COCO.
void write_polygon(std::FILE* out, Rng& rng, double x, double y, double rx, double ry) {
  const int64_t vertices = 12 + rng.below(43);
  for (int64_t i = 0; i < vertices; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(vertices);
    const double r = rng.uniform(0.8, 1.0);
    std::fprintf(out, "%s%.2f, %.2f", i > 0 ? ", " : "[[", x + rx * r * std::cos(angle), y + ry * r * std::sin(angle));
  }
  std::fprintf(out, "]]");
}

// Columns of a box as uncompressed run lengths.
void write_crowd(std::FILE* out, int x, int y, int w, int h) {
  std::fprintf(out, "{\"counts\": [%d", x * kHeight + y);
  for (int i = 1; i < w; ++i) std::fprintf(out, ", %d, %d", h, kHeight - h);
  std::fprintf(out, ", %d, %d], \"size\": [%d, %d]}", h, kHeight * kWidth - (x + w - 1) * kHeight - y - h, kHeight, kWidth);
}

void write_annotation(std::FILE* out, int64_t id, int64_t images) {
  Rng rng(1, "annotations-workload", static_cast<uint64_t>(id));
  const double rx = rng.uniform(4, 120), ry = rng.uniform(4, 120);
  const double x = rng.uniform(rx, kWidth - rx), y = rng.uniform(ry, kHeight - ry);
  const bool crowd = rng.below(100) == 0;
  std::fprintf(out, "%s{\"segmentation\": ", id > 1 ? ", " : "");
  if (crowd) write_crowd(out, static_cast<int>(x - rx), static_cast<int>(y - ry), static_cast<int>(2 * rx), static_cast<int>(2 * ry));
  if (!crowd) write_polygon(out, rng, x, y, rx, ry);
  std::fprintf(out, ", \"area\": %.4f, \"iscrowd\": %d, \"image_id\": %lld, \"bbox\": [%.2f, %.2f, %.2f, %.2f], ", 2.5 * rx * ry,
               crowd ? 1 : 0, static_cast<long long>(1 + rng.below(images) * 5), x - rx, y - ry, 2 * rx, 2 * ry);
  std::fprintf(out, "\"category_id\": %lld, \"id\": %lld}", static_cast<long long>(1 + rng.below(kCategories)),
               static_cast<long long>(id));
}

void write(std::FILE* out, int64_t images) {
  std::fprintf(out, "{\"info\": {\"description\": \"made up\"}, \"licenses\": [{\"id\": 1, \"name\": \"none\"}], \"images\": [");
  for (int64_t i = 0; i < images; ++i) {
    const auto id = static_cast<long long>(1 + 5 * i);
    std::fprintf(out, "%s{\"license\": 1, \"file_name\": \"%012lld.jpg\", \"coco_url\": \"http://images.example/train2017/%012lld.jpg\", "
                 "\"height\": %d, \"width\": %d, \"date_captured\": \"2013-11-14 11:18:45\", \"id\": %lld}",
                 i > 0 ? ", " : "", id, id, kHeight, kWidth, id);
  }
  std::fprintf(out, "], \"annotations\": [");
  for (int64_t id = 1; id <= kInstances * images; ++id) write_annotation(out, id, images);
  std::fprintf(out, "], \"categories\": [");
  for (int k = 1; k <= kCategories; ++k) std::fprintf(out, "%s{\"id\": %d, \"name\": \"category %d\"}", k > 1 ? ", " : "", k, k);
  std::fprintf(out, "]}\n");
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t images = argc == 3 ? std::atoll(argv[2]) : 118000;
  if (argc < 2 || argc > 3 || images < 1) {
    std::fprintf(stderr, "usage: annotations_workload FILE [IMAGES]\n");
    return 64;
  }
  const File out(std::fopen(argv[1], "w"), &std::fclose);
  if (!out) {
    std::fprintf(stderr, "annotations_workload: error: cannot write \"%s\"\n", argv[1]);
    return 73;
  }
  write(out.get(), images);
  return 0;
}
