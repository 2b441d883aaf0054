#include "lib/data/look.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace iuq::data {
namespace {


double smooth(double t) { return t * t * (3 - 2 * t); }
double fraction(double t) { return t - std::floor(t); }

/// 0 to 1 to 0 over one period, with soft steps so that fine patterns do not alias.
double wave(double phase) { return std::clamp(0.5 + 0.9 * std::sin(2 * std::numbers::pi * phase), 0.0, 1.0); }

}  // namespace

Colour mix(const Colour& from, const Colour& to, double t) {
  return {from.b + (to.b - from.b) * t, from.g + (to.g - from.g) * t, from.r + (to.r - from.r) * t};
}

Colour operator*(const Colour& c, double factor) { return {c.b * factor, c.g * factor, c.r * factor}; }

double distance(const Colour& a, const Colour& b) {
  return std::sqrt((a.b - b.b) * (a.b - b.b) + (a.g - b.g) * (a.g - b.g) + (a.r - b.r) * (a.r - b.r));
}

Colour from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + 6 * fraction(hue), 6.0);
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {channel(1), channel(3), channel(5)};
}

double hash_uniform(uint64_t key, int64_t x, int64_t y) {
  uint64_t z = key;
  z += 0x9e3779b97f4a7c15ULL * static_cast<uint64_t>(x) + 0xc2b2ae3d27d4eb4fULL * static_cast<uint64_t>(y);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

double value_noise(uint64_t key, double x, double y) {
  const double fx = std::floor(x), fy = std::floor(y);
  const auto ix = static_cast<int64_t>(fx), iy = static_cast<int64_t>(fy);
  const double tx = smooth(x - fx), ty = smooth(y - fy);
  const double top = std::lerp(hash_uniform(key, ix, iy), hash_uniform(key, ix + 1, iy), tx);
  const double bottom = std::lerp(hash_uniform(key, ix, iy + 1), hash_uniform(key, ix + 1, iy + 1), tx);
  return std::lerp(top, bottom, ty);
}

Colour Look::at(double x, double y, double radius) const {
  const double along = x * std::cos(angle) + y * std::sin(angle);
  const double across = y * std::cos(angle) - x * std::sin(angle);
  double t = 0;
  switch (texture) {
    case Texture::kPlain: break;
    case Texture::kStripes: t = wave(along / period); break;
    case Texture::kDots: {
      const double du = fraction(along / period) - 0.5, dv = fraction(across / period) - 0.5;
      t = std::clamp((0.34 - std::hypot(du, dv)) * period + 0.5, 0.0, 1.0);
      break;
    }
    case Texture::kChecks: {
      const double s = std::sin(std::numbers::pi * along / period) * std::sin(std::numbers::pi * across / period);
      t = std::clamp(0.5 + 2 * s, 0.0, 1.0);
      break;
    }
    case Texture::kGradient: t = std::clamp(0.5 + 0.5 * along / radius, 0.0, 1.0); break;
    case Texture::kNoise:
      t = std::clamp(1.6 * value_noise(noise_key, x / (0.6 * period), y / (0.6 * period)) - 0.3, 0.0, 1.0);
      break;
  }
  return mix(main, second, t);
}

Look draw_object_look(Rng& rng) {
  Look look;
  // One draw per statement: the order of function arguments is the compiler's, and the bytes must not be.
  const double hue = rng.uniform();
  const double value = rng.uniform(0.65, 1.0);
  const double saturation = rng.uniform(0.6, 1.0);
  look.main = from_hsv(hue, saturation, value);
  // The second colour is a neighbour, lighter or darker, so that the pattern does not drown the outline.
  const double second_value = rng.uniform(0.45, 1.0);
  const double second_saturation = rng.uniform(0.2, 0.9);
  const double second_hue = hue + rng.uniform(-0.12, 0.12);
  look.second = from_hsv(second_hue, second_saturation, second_value);
  look.texture = static_cast<Texture>(rng.below(6));
  look.period = rng.uniform(5, 10);
  look.angle = rng.uniform(0, 2 * std::numbers::pi);
  look.noise_key = rng.next();
  return look;
}

Look draw_background_look(Rng& rng) {
  Look look;
  const double hue = rng.uniform(), value = rng.uniform(0.2, 0.75);
  look.main = from_hsv(hue, rng.uniform(0.0, 0.3), value);
  const double second_value = std::clamp(value + rng.uniform(-0.2, 0.2), 0.1, 0.85);
  const double second_saturation = rng.uniform(0.0, 0.35);
  const double second_hue = hue + rng.uniform(-0.2, 0.2);
  look.second = from_hsv(second_hue, second_saturation, second_value);
  look.texture = static_cast<Texture>(1 + rng.below(5));
  look.period = rng.uniform(12, 40);
  look.angle = rng.uniform(0, 2 * std::numbers::pi);
  look.noise_key = rng.next();
  return look;
}

}  // namespace iuq::data
