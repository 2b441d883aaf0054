#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "lib/base/error.h"
#include "lib/mask/rle.h"
#include "lib/mask/size.h"

namespace iuq::mask {
namespace {

constexpr int kScale = 5;        // polygons are walked on a grid of five steps a pixel
constexpr int kMiddle = 2;       // the step of a pixel at which a column is crossed
constexpr double kLimit = 1e7;   // pixels; beyond it a hostile edge would be walked for minutes

struct Point {
  int64_t x, y;
};

int64_t cut(double value) { return static_cast<int64_t>(value); }  // towards zero, as the reference rounds

std::vector<Point> to_grid(const double* xy, size_t vertices) {
  std::vector<Point> points;
  points.reserve(vertices + 1);
  for (size_t i = 0; i < vertices; ++i) {
    const double x = xy[2 * i], y = xy[2 * i + 1];
    if (!(std::abs(x) <= kLimit && std::abs(y) <= kLimit)) {
      throw Error(ErrorCode::kBadData, cat("polygon vertex ", i, " (", x, ", ", y, ") is not within +-1e7 pixels"));
    }
    points.push_back({cut(kScale * x + .5), cut(kScale * y + .5)});
  }
  if (vertices > 0) points.push_back(points.front());
  return points;
}

// A pixel of the outline; a row may be `height`, which is the first of the next column.
struct Crossing {
  uint32_t column, row;
};

// Collects the pixels at which the outline crosses the middle of a column. Only there does the
// reference's step by step walk along an edge leave a trace, so only there is it followed.
class Crossings {
 public:
  Crossings(int64_t height, int64_t width, std::vector<Crossing>& out) : height_(height), width_(width), out_(out) {}

  // The edge is walked one step at a time along its longer axis; the other coordinate is always computed from the end
  // with the smaller longer-axis coordinate, so that an edge and its reverse visit the same points.
  void add_edge(Point from, Point to) {
    const int64_t dx = std::abs(to.x - from.x), dy = std::abs(to.y - from.y);
    if (dx == 0) return;
    const bool along_x = dx >= dy;
    if (along_x ? from.x > to.x : from.y > to.y) std::swap(from, to);
    const double slope = static_cast<double>(along_x ? to.y - from.y : to.x - from.x) / static_cast<double>(along_x ? dx : dy);
    const double steepness = 1 / slope;
    const int64_t left = std::min(from.x, to.x), right = std::max(from.x, to.x);
    const int64_t first = left <= kMiddle ? 0 : (left - kMiddle + kScale - 1) / kScale;
    for (int64_t column = first; column < width_; ++column) {
      const int64_t x = column * kScale + kMiddle;  // the step from x to x + 1 is the crossing
      if (x >= right) break;
      cross(column, along_x ? y_along_x(from, slope, x) : y_along_y(from, slope, steepness, x, dy));
    }
  }

 private:
  static int64_t y_along_x(Point from, double slope, int64_t x) {
    const auto y_at = [&](int64_t t) { return cut(static_cast<double>(from.y) + slope * static_cast<double>(t) + .5); };
    return std::min(y_at(x - from.x), y_at(x - from.x + 1));
  }

  // The y before the first step that is beyond the crossing; computed, then corrected by what the walk would see.
  static int64_t y_along_y(Point from, double slope, double steepness, int64_t x, int64_t length) {
    const auto beyond = [&](int64_t t) {
      const int64_t here = cut(static_cast<double>(from.x) + slope * static_cast<double>(t) + .5);
      return slope > 0 ? here > x : here <= x;
    };
    const double guess = (static_cast<double>(x - from.x) + .5) * steepness;
    int64_t t = std::clamp<int64_t>(static_cast<int64_t>(guess), 1, length);
    while (t > 1 && beyond(t - 1)) --t;
    while (t < length && !beyond(t)) ++t;
    return from.y + t - 1;
  }

  void cross(int64_t column, int64_t y) {
    const int64_t row = y <= kMiddle ? 0 : std::min((y - kMiddle + kScale - 1) / kScale, height_);
    out_.push_back({static_cast<uint32_t>(column), static_cast<uint32_t>(row)});
  }

  int64_t height_, width_;
  std::vector<Crossing>& out_;
};

// Column-major pixel indices, ascending: column by column; most columns have two crossings.
std::vector<uint32_t> sorted_pixels(const std::vector<Crossing>& crossings, uint32_t height) {
  const auto by_column = [](const Crossing& a, const Crossing& b) { return a.column < b.column; };
  const auto [left, right] = std::minmax_element(crossings.begin(), crossings.end(), by_column);
  std::vector<uint32_t> first(right->column - left->column + 2, 0), pixels(crossings.size());
  const uint32_t origin = left->column;
  for (const Crossing& c : crossings) ++first[c.column - origin + 1];
  for (size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
  for (const Crossing& c : crossings) pixels[first[c.column - origin]++] = c.column * height + c.row;
  uint32_t begin = 0;
  for (size_t i = 0; i + 1 < first.size(); begin = first[i++]) std::sort(pixels.begin() + begin, pixels.begin() + first[i]);
  return pixels;
}

// Sorted crossings to runs; two crossings at the same pixel cancel, which is the even-odd rule.
void to_runs(std::vector<uint32_t>& pixels, std::vector<uint32_t>& counts) {
  counts.reserve(pixels.size());
  uint32_t before = 0;
  for (uint32_t& pixel : pixels) {
    const uint32_t here = pixel;
    pixel -= before;
    before = here;
  }
  counts.push_back(pixels[0]);
  for (size_t i = 1; i < pixels.size(); ++i) {
    if (pixels[i] > 0) {
      counts.push_back(pixels[i]);
    } else if (++i < pixels.size()) {
      counts.back() += pixels[i];
    }
  }
}

Rle from_polygon(const double* xy, size_t numbers, int64_t height, int64_t width) {
  Rle rle = empty_of(height, width);
  const std::vector<Point> points = to_grid(xy, numbers / 2);
  std::vector<Crossing> found;
  Crossings crossings(height, width, found);
  for (size_t i = 0; i + 1 < points.size(); ++i) crossings.add_edge(points[i], points[i + 1]);
  std::vector<uint32_t> pixels;
  if (!found.empty()) pixels = sorted_pixels(found, rle.height);
  pixels.push_back(static_cast<uint32_t>(height * width));
  to_runs(pixels, rle.counts);
  return rle;
}

}  // namespace

Rle from_polygons(std::span<const double> numbers, std::span<const uint32_t> lengths, int64_t height, int64_t width) {
  if (lengths.size() <= 1) return from_polygon(numbers.data(), lengths.empty() ? 0 : lengths[0], height, width);
  std::vector<Rle> parts;
  const double* xy = numbers.data();
  for (const uint32_t length : lengths) {
    parts.push_back(from_polygon(xy, length, height, width));
    xy += length;
  }
  return merge(parts, /*intersect=*/false);
}

Rle from_polygons(const std::vector<std::vector<double>>& polygons, int64_t height, int64_t width) {
  std::vector<double> numbers;
  std::vector<uint32_t> lengths;
  for (const auto& polygon : polygons) {
    numbers.insert(numbers.end(), polygon.begin(), polygon.end());
    lengths.push_back(static_cast<uint32_t>(polygon.size()));
  }
  return from_polygons(numbers, lengths, height, width);
}

}  // namespace iuq::mask
