#pragma once

#include <cstdint>

namespace iuq::data {

/// The categories of the built-in data set: plane shapes, about as large as the unit disc.
inline constexpr int64_t kShapeCount = 12;

const char* shape_name(int64_t shape);
/// Whether the point (u right, v down) lies inside.
bool inside_shape(int64_t shape, double u, double v);
/// No shape reaches further from its centre.
inline constexpr double kShapeReach = 1.25;

/// A shape in an image: pixel = (x, y) + rotation by `angle` of (radius * stretch * u, radius / stretch * v).
class PlacedShape {
 public:
  PlacedShape(int64_t shape, double x, double y, double radius, double stretch, double angle);

  bool inside(double px, double py) const;
  /// Fraction of the pixel's 3 x 3 points that lie inside.
  double coverage(int64_t px, int64_t py) const;
  /// No pixel further than this from the centre is touched.
  int64_t reach() const;

  int64_t shape() const { return shape_; }
  double x() const { return x_; }
  double y() const { return y_; }
  double radius() const { return radius_; }
  double angle() const { return angle_; }

 private:
  int64_t shape_;
  double x_, y_, radius_, stretch_, angle_;
  double cos_, sin_;
};

}  // namespace iuq::data
