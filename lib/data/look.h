#pragma once

#include <cstdint>

#include "lib/base/rng.h"

namespace iuq::data {

/// Blue, green, red in [0, 1].
struct Colour {
  double b = 0, g = 0, r = 0;
};

Colour mix(const Colour& from, const Colour& to, double t);
Colour operator*(const Colour& colour, double factor);
double distance(const Colour& a, const Colour& b);
/// Hue, saturation and value in [0, 1].
Colour from_hsv(double hue, double saturation, double value);

enum class Texture { kPlain, kStripes, kDots, kChecks, kGradient, kNoise };

/// How a surface looks: two colours and what arranges them. Independent of shape and category.
struct Look {
  Colour main, second;
  Texture texture = Texture::kPlain;
  double period = 8;     // pixels
  double angle = 0;      // of the pattern, radians
  uint64_t noise_key = 0;

  /// The colour at (x, y), in pixels from the centre of a surface of that `radius`.
  Colour at(double x, double y, double radius) const;
};

/// A vivid look for objects, or a muted one for backgrounds.
Look draw_object_look(Rng& rng);
Look draw_background_look(Rng& rng);

/// Smooth noise in [0, 1] with features of about 1 unit, a function of (key, x, y).
double value_noise(uint64_t key, double x, double y);
/// One uniform number in [0, 1) per (key, x, y).
double hash_uniform(uint64_t key, int64_t x, int64_t y);

}  // namespace iuq::data
