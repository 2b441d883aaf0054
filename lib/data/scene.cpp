#include "lib/data/scene.h"

#include <algorithm>
#include <cmath>

#include "lib/base/rng.h"
#include "lib/data/look.h"
#include "lib/data/shapes.h"

namespace iuq::data {
namespace {

constexpr int64_t kSharedLooks = 10;      // of the whole data set
constexpr int kTries = 60;                // placements of one instance before it is given up
constexpr double kInFrame = 0.6;          // least part of a shape that lies in the image
constexpr int64_t kMinPixels = 40;        // before anything covers it
constexpr int64_t kMinVisible = 25;
constexpr double kMinVisibleFraction = 0.3;
constexpr double kContrast = 0.38;        // least colour distance of an object from its ground
constexpr int32_t kNobody = -1;

struct Canvas {
  int64_t height, width;
  std::vector<Colour> colours;
  std::vector<int32_t> owner;

  Canvas(int64_t h, int64_t w)
      : height(h), width(w), colours(static_cast<size_t>(h * w)), owner(static_cast<size_t>(h * w), kNobody) {}
  bool contains(int64_t px, int64_t py) const { return px >= 0 && py >= 0 && px < width && py < height; }
  size_t index(int64_t px, int64_t py) const { return static_cast<size_t>(py * width + px); }
};

template <class Visit>
void for_box(const PlacedShape& placed, Visit&& visit) {
  const auto cx = static_cast<int64_t>(std::lround(placed.x())), cy = static_cast<int64_t>(std::lround(placed.y()));
  for (int64_t py = cy - placed.reach(); py <= cy + placed.reach(); ++py) {
    for (int64_t px = cx - placed.reach(); px <= cx + placed.reach(); ++px) visit(px, py);
  }
}

class ScenePainter {
 public:
  ScenePainter(const SynthConfig& config, const std::string& split, int64_t index)
      : config_(config), rng_(config.seed, "scene-" + split, static_cast<uint64_t>(index)),
        canvas_(config.height, config.width), short_side_(static_cast<double>(std::min(config.height, config.width))) {}

  Scene paint() {
    choose_looks();
    paint_ground();
    paint_distractors();
    const int64_t wanted =
        config_.min_instances + rng_.below(config_.max_instances - config_.min_instances + 1);
    for (int64_t i = 0; i < wanted; ++i) add_instance();
    return finish();
  }

 private:
  // What placing a shape on the canvas would do.
  struct Footprint {
    std::vector<size_t> pixels;   // in the frame
    int64_t outside = 0;          // beyond the frame
    std::vector<int64_t> hides;   // pixels taken from each earlier instance
  };
  struct Member {
    int64_t category = 0, in_frame = 0, whole = 0, visible = 0;
  };

  void choose_looks() {
    // Two of the data set's few looks dress most of a scene, so that scenes resemble each other too.
    for (int k = 0; k < 2; ++k) {
      Rng stock(config_.seed, "shared-look", static_cast<uint64_t>(rng_.below(kSharedLooks)));
      house_.push_back(draw_object_look(stock));
    }
    do {
      ground_ = draw_background_look(rng_);
    } while (std::min(contrast(house_[0]), contrast(house_[1])) < kContrast);
  }

  double contrast(const Look& look) const {
    return std::min(distance(look.main, ground_.main), distance(look.main, ground_.second));
  }

  Look instance_look() {
    if (rng_.uniform() < config_.similarity) {
      Look look = house_[static_cast<size_t>(rng_.below(2))];
      look.angle += rng_.uniform(-0.3, 0.3);
      return look;
    }
    Look look = draw_object_look(rng_);
    while (contrast(look) < kContrast) look = draw_object_look(rng_);
    return look;
  }

  void paint_ground() {
    const uint64_t key = rng_.next();
    const double cx = static_cast<double>(config_.width) / 2, cy = static_cast<double>(config_.height) / 2;
    const double scale = short_side_ / 5, strength = rng_.uniform(0.2, 0.6);
    for (int64_t py = 0; py < config_.height; ++py) {
      for (int64_t px = 0; px < config_.width; ++px) {
        const auto x = static_cast<double>(px), y = static_cast<double>(py);
        const double cloud = 0.6 * value_noise(key, x / scale, y / scale) +
                             0.4 * value_noise(key + 1, 3 * x / scale, 3 * y / scale);
        const Colour patterned = ground_.at(x - cx, y - cy, short_side_ / 2);
        canvas_.colours[canvas_.index(px, py)] = mix(mix(ground_.main, ground_.second, cloud), patterned, strength);
      }
    }
  }

  Colour ground_tint() {
    const double brightness = rng_.uniform(0.75, 1.25);
    return mix(ground_.main, ground_.second, rng_.uniform()) * brightness;
  }

  void paint_distractors() {
    // Lines and parts of shapes in the ground's own colours: edges that belong to nothing.
    const auto width = static_cast<double>(config_.width), height = static_cast<double>(config_.height);
    for (int64_t i = 2 + rng_.below(5); i > 0; --i) {
      const PlacedShape placed{rng_.below(kShapeCount), rng_.uniform(0, width), rng_.uniform(0, height),
                          short_side_ * rng_.uniform(0.1, 0.35), rng_.uniform(0.6, 1.6), rng_.uniform(0, 6.3)};
      const double strength = rng_.uniform(0.3, 0.7);
      blend(placed, ground_tint(), strength);
    }
    for (int64_t i = 2 + rng_.below(4); i > 0; --i) {
      // A line is a square stretched until it is thin.
      const double thickness = rng_.uniform(0.7, 1.5), length = short_side_ * rng_.uniform(0.3, 1.2);
      const PlacedShape line{1, rng_.uniform(0, width), rng_.uniform(0, height), std::sqrt(thickness * length),
                        std::sqrt(length / thickness), rng_.uniform(0, 6.3)};
      blend(line, ground_tint(), 0.8);
    }
  }

  void blend(const PlacedShape& placed, const Colour& colour, double strength) {
    for_box(placed, [&](int64_t px, int64_t py) {
      if (!canvas_.contains(px, py)) return;
      Colour& under = canvas_.colours[canvas_.index(px, py)];
      under = mix(under, colour, strength * placed.coverage(px, py));
    });
  }

  int64_t draw_category() {
    const int64_t n = config_.category_count();
    if (!config_.is_lvis()) return rng_.below(n);
    double total = 0;
    for (int64_t k = 0; k < n; ++k) total += std::pow(static_cast<double>(k + 1), -config_.tail);
    double left = rng_.uniform() * total;
    for (int64_t k = 0; k + 1 < n; ++k) {
      left -= std::pow(static_cast<double>(k + 1), -config_.tail);
      if (left < 0) return k;
    }
    return n - 1;
  }

  PlacedShape draw_place(int64_t category, double diameter) {
    const double radius = diameter / 2, stretch = rng_.uniform(0.85, 1.18), angle = rng_.uniform(-0.7, 0.7);
    if (!places_.empty() && rng_.uniform() < 0.45) {  // at the side of another, to touch or cover it
      const PlacedShape& other = places_[static_cast<size_t>(rng_.below(static_cast<int64_t>(places_.size())))];
      const double turn = rng_.uniform(0, 6.2832), away = (other.radius() + radius) * rng_.uniform(0.55, 1.1);
      return {category, other.x() + away * std::cos(turn), other.y() + away * std::sin(turn), radius, stretch, angle};
    }
    const double x = rng_.uniform(0, static_cast<double>(config_.width));
    return {category, x, rng_.uniform(0, static_cast<double>(config_.height)), radius, stretch, angle};
  }

  Footprint footprint(const PlacedShape& placed) const {
    Footprint print;
    print.hides.assign(members_.size(), 0);
    for_box(placed, [&](int64_t px, int64_t py) {
      if (!placed.inside(static_cast<double>(px), static_cast<double>(py))) return;
      if (!canvas_.contains(px, py)) {
        ++print.outside;
        return;
      }
      const size_t pixel = canvas_.index(px, py);
      print.pixels.push_back(pixel);
      if (canvas_.owner[pixel] != kNobody) ++print.hides[static_cast<size_t>(canvas_.owner[pixel])];
    });
    return print;
  }

  bool fits(const Footprint& print) const {
    const auto in_frame = static_cast<int64_t>(print.pixels.size());
    if (in_frame < kMinPixels) return false;
    if (static_cast<double>(in_frame) < kInFrame * static_cast<double>(in_frame + print.outside)) return false;
    for (size_t i = 0; i < members_.size(); ++i) {
      const Member& m = members_[i];
      const int64_t visible = m.visible - print.hides[i];
      if (print.hides[i] == 0) continue;
      const double least = std::max((1 - config_.occlusion) * static_cast<double>(m.in_frame),
                                    kMinVisibleFraction * static_cast<double>(m.whole));
      if (visible < kMinVisible || static_cast<double>(visible) < least) {
        return false;
      }
    }
    return true;
  }

  void add_instance() {
    const int64_t category = draw_category();
    const Look look = instance_look();
    double diameter = short_side_ * config_.min_size * std::pow(config_.max_size / config_.min_size, rng_.uniform());
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const PlacedShape placed = draw_place(category, diameter);
      const Footprint print = footprint(placed);
      if (fits(print)) return place(placed, print, look);
      if (attempt % 10 == 9) diameter = std::max(diameter * 0.85, short_side_ * config_.min_size);
    }
    if (!members_.empty()) return;
    // The smallest sizes can be below kMinPixels: a scene still shows one instance, in the middle and large enough.
    const PlacedShape placed{category, static_cast<double>(config_.width) / 2, static_cast<double>(config_.height) / 2,
                        std::max(diameter / 2, 8.0), 1, 0};
    place(placed, footprint(placed), look);
  }

  void place(const PlacedShape& placed, const Footprint& print, const Look& look) {
    const auto id = static_cast<int32_t>(members_.size());
    for (size_t i = 0; i < members_.size(); ++i) members_[i].visible -= print.hides[i];
    const auto in_frame = static_cast<int64_t>(print.pixels.size());
    members_.push_back({placed.shape(), in_frame, in_frame + print.outside, in_frame});
    places_.push_back(placed);
    for (const size_t pixel : print.pixels) canvas_.owner[pixel] = id;
    paint_instance(placed, look);
  }

  void paint_instance(const PlacedShape& placed, Look look) {
    const double brightness = rng_.uniform(0.88, 1.08);
    const double rim = std::max(1.2, 0.09 * placed.radius());
    look.angle += placed.angle();
    for_box(placed, [&](int64_t px, int64_t py) {
      const double amount = canvas_.contains(px, py) ? placed.coverage(px, py) : 0;
      if (amount == 0) return;
      const double x = static_cast<double>(px), y = static_cast<double>(py);
      const double dx = x - placed.x(), dy = y - placed.y();
      const bool at_rim = !placed.inside(x + rim, y) || !placed.inside(x - rim, y) || !placed.inside(x, y + rim) ||
                          !placed.inside(x, y - rim);
      // Lit from the upper left; the darker rim parts two neighbours of one look.
      const double light = brightness * (1 - 0.16 * (dx + dy) / placed.radius()) * (at_rim ? 0.62 : 1.0);
      Colour& under = canvas_.colours[canvas_.index(px, py)];
      under = mix(under, look.at(dx, dy, placed.radius()) * light, amount);
    });
  }

  Scene finish() {
    Scene scene;
    scene.pixels = {config_.height, config_.width, std::vector<uint8_t>(3 * canvas_.colours.size())};
    const uint64_t key = rng_.next();
    for (size_t i = 0; i < canvas_.colours.size(); ++i) {
      const Colour& c = canvas_.colours[i];
      const auto at = static_cast<int64_t>(i);
      // The sensor's noise, triangular, about 3 grey levels.
      const double noise = 8 * (hash_uniform(key, at, 0) - hash_uniform(key, at, 1));
      size_t channel = 3 * i;
      for (const double v : {c.b, c.g, c.r}) {
        scene.pixels.bgr[channel++] = static_cast<uint8_t>(std::lround(std::clamp(255 * v + noise, 0.0, 255.0)));
      }
    }
    std::vector<uint8_t> bits(canvas_.owner.size());
    for (size_t id = 0; id < members_.size(); ++id) {
      for (size_t i = 0; i < bits.size(); ++i) bits[i] = canvas_.owner[i] == static_cast<int32_t>(id);
      scene.instances.push_back({members_[id].category, mask::encode(bits.data(), config_.height, config_.width)});
    }
    return scene;
  }

  const SynthConfig& config_;
  Rng rng_;
  Canvas canvas_;
  double short_side_;
  std::vector<Look> house_;
  Look ground_;
  std::vector<PlacedShape> places_;
  std::vector<Member> members_;
};

}  // namespace

Scene draw_scene(const SynthConfig& config, const std::string& split, int64_t index) {
  return ScenePainter(config, split, index).paint();
}

}  // namespace iuq::data
