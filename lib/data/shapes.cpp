#include "lib/data/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "lib/base/error.h"

namespace iuq::data {
namespace {


bool in_disc(double u, double v, double cu, double cv, double radius) {
  return (u - cu) * (u - cu) + (v - cv) * (v - cv) <= radius * radius;
}

/// Regular polygon by its sides' distance from the centre; the first corner points up when `sides` is odd.
bool in_regular(double u, double v, int sides, double distance) {
  for (int k = 0; k < sides; ++k) {
    const double angle = std::numbers::pi / 2 + 2 * std::numbers::pi * k / sides;
    if (u * std::cos(angle) + v * std::sin(angle) > distance) return false;
  }
  return true;
}

bool in_star(double u, double v) {
  constexpr double kOuter = 1.15, kInner = 0.5, kHalf = std::numbers::pi / 5;
  const double turn = std::atan2(u, -v);  // 0 is up
  const double folded = std::fabs(std::remainder(turn, 2 * kHalf));
  const double radius = std::hypot(u, v);
  const double x = radius * std::cos(folded), y = radius * std::sin(folded);
  // Left of the edge from the outer corner (kOuter, 0) to the inner one.
  const double ex = kInner * std::cos(kHalf) - kOuter, ey = kInner * std::sin(kHalf);
  return ex * y - ey * (x - kOuter) >= 0;
}

bool in_cross(double u, double v) {
  return (std::fabs(u) <= 0.34 && std::fabs(v) <= 1) || (std::fabs(v) <= 0.34 && std::fabs(u) <= 1);
}

bool in_heart(double u, double v) {
  const double x = 1.2 * u, y = 0.15 - 1.2 * v, a = x * x + y * y - 1;
  return a * a * a - x * x * y * y * y <= 0;
}

bool in_arrow(double u, double v) {
  return (u >= -1 && u <= 0.1 && std::fabs(v) <= 0.28) || (u >= 0.1 && u <= 1 && std::fabs(v) <= 0.9 * (1 - u));
}

bool in_drop(double u, double v) {
  if (in_disc(u, v, 0, 0.35, 0.65)) return true;
  return v >= -1.1 && v <= 0.1 && std::fabs(u) <= 0.6 * (v + 1.1) / 1.2;
}

bool in_clover(double u, double v) {
  return in_disc(u, v, 0.5, 0, 0.5) || in_disc(u, v, -0.5, 0, 0.5) || in_disc(u, v, 0, 0.5, 0.5) ||
         in_disc(u, v, 0, -0.5, 0.5);
}

struct Shape {
  const char* name;
  bool (*inside)(double u, double v);
};

const std::array<Shape, kShapeCount> kShapes = {{
    {"disc", [](double u, double v) { return in_disc(u, v, 0, 0, 1); }},
    {"square", [](double u, double v) { return std::max(std::fabs(u), std::fabs(v)) <= 0.86; }},
    {"triangle", [](double u, double v) { return in_regular(u, v - 0.2, 3, 0.56); }},
    {"star", in_star},
    {"ring", [](double u, double v) { return in_disc(u, v, 0, 0, 1) && !in_disc(u, v, 0, 0, 0.5); }},
    {"cross", in_cross},
    {"heart", in_heart},
    {"crescent", [](double u, double v) { return in_disc(u, v, 0, 0, 1.05) && !in_disc(u, v, 0.5, 0, 0.8); }},
    {"arrow", in_arrow},
    {"drop", in_drop},
    {"clover", in_clover},
    {"hexagon", [](double u, double v) { return in_regular(u, v, 6, 0.88); }},
}};

}  // namespace

const char* shape_name(int64_t shape) { return kShapes.at(static_cast<size_t>(shape)).name; }

bool inside_shape(int64_t shape, double u, double v) {
  IUQ_ASSERT(shape >= 0 && shape < kShapeCount);
  return kShapes[static_cast<size_t>(shape)].inside(u, v);
}

PlacedShape::PlacedShape(int64_t shape, double x, double y, double radius, double stretch, double angle)
    : shape_(shape), x_(x), y_(y), radius_(radius), stretch_(stretch), angle_(angle), cos_(std::cos(angle)),
      sin_(std::sin(angle)) {}

bool PlacedShape::inside(double px, double py) const {
  const double dx = px - x_, dy = py - y_;
  const double u = (dx * cos_ + dy * sin_) / (radius_ * stretch_), v = (dy * cos_ - dx * sin_) * stretch_ / radius_;
  return u * u + v * v <= kShapeReach * kShapeReach && inside_shape(shape_, u, v);
}

double PlacedShape::coverage(int64_t px, int64_t py) const {
  int hits = 0;
  for (int k = 0; k < 9; ++k) {
    hits += inside(static_cast<double>(px) + (k % 3 - 1) / 3.0, static_cast<double>(py) + (k / 3 - 1) / 3.0);
  }
  return hits / 9.0;
}

int64_t PlacedShape::reach() const {
  return static_cast<int64_t>(std::ceil(radius_ * std::max(stretch_, 1 / stretch_) * kShapeReach)) + 2;
}

}  // namespace iuq::data
