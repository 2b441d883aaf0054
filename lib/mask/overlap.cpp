#include <algorithm>
#include <cmath>

#include "lib/mask/rle.h"

namespace iuq::mask {
namespace {

// Where a walk along the runs of a mask is; two masks are walked at the same pace.
class Runs {
 public:
  explicit Runs(const std::vector<uint32_t>& counts)
      : next_(counts.data()), end_(next_ + counts.size()), left_(counts.empty() ? 0 : *next_++) {}

  uint32_t left() const { return left_; }
  bool inside() const { return inside_; }
  void advance(uint32_t pixels) {
    left_ -= pixels;
    if (left_ == 0 && next_ != end_) {
      left_ = *next_++;
      inside_ = !inside_;
    }
  }

 private:
  const uint32_t* next_;
  const uint32_t* end_;
  uint32_t left_;
  bool inside_ = false;
};

// Calls segment(pixels, inside_a, inside_b) along both masks. It ends where neither has pixels left in its current run:
// at the end or, as in the reference, where both reach a zero-length run at the same pixel.
template <class Segment>
void walk_both(const Rle& a, const Rle& b, const Segment& segment) {
  Runs runs_a(a.counts), runs_b(b.counts);
  do {
    const uint32_t pixels = std::min(runs_a.left(), runs_b.left());
    segment(pixels, runs_a.inside(), runs_b.inside());
    runs_a.advance(pixels);
    runs_b.advance(pixels);
  } while (runs_a.left() != 0 || runs_b.left() != 0);
}

bool same_size(const Rle& a, const Rle& b) { return a.height == b.height && a.width == b.width; }

// Pixels that both masks cover; foreground runs side by side.
uint32_t intersection(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  uint32_t both = 0;
  size_t i = 1, j = 1;
  if (a.size() < 2 || b.size() < 2) return 0;
  uint32_t begin_a = a[0], end_a = begin_a + a[1], begin_b = b[0], end_b = begin_b + b[1];
  for (;;) {
    const uint32_t begin = std::max(begin_a, begin_b), end = std::min(end_a, end_b);
    both += end > begin ? end - begin : 0;
    if (end_a <= end_b) {
      if ((i += 2) >= a.size()) return both;
      begin_a = end_a + a[i - 1];
      end_a = begin_a + a[i];
    } else {
      if ((j += 2) >= b.size()) return both;
      begin_b = end_b + b[j - 1];
      end_b = begin_b + b[j];
    }
  }
}

Rle merge_two(const Rle& a, const Rle& b, bool intersect) {
  Rle merged{a.height, a.width, {}};
  uint32_t run = 0;
  bool inside = false;
  walk_both(a, b, [&](uint32_t pixels, bool inside_a, bool inside_b) {
    const bool now = intersect ? inside_a && inside_b : inside_a || inside_b;
    if (now != inside) {
      merged.counts.push_back(run);
      run = 0;
      inside = now;
    }
    run += pixels;
  });
  merged.counts.push_back(run);
  return merged;
}

}  // namespace

Rle merge(const std::vector<Rle>& rles, bool intersect) {
  if (rles.empty()) return {};
  Rle merged = rles[0];
  for (size_t i = 1; i < rles.size(); ++i) {
    if (!same_size(merged, rles[i])) return {};
    merged = merge_two(merged, rles[i], intersect);
  }
  return merged;
}

Foreground::Foreground(const std::vector<uint32_t>& counts) {
  uint32_t empty = 0;
  for (size_t i = 1; i < counts.size(); i += 2) {
    area += counts[i];
    empty |= static_cast<uint32_t>(counts[i] == 0) | static_cast<uint32_t>(i > 1 && counts[i - 1] == 0);
  }
  has_empty_run = empty != 0 || (counts.size() > 1 && counts.size() % 2 == 1 && counts.back() == 0);
}

double iou_of_runs(const Rle& dt, const Rle& gt, bool crowd) {
  return iou_of_runs(dt, Foreground(dt.counts), gt, Foreground(gt.counts), crowd);
}

double iou_of_runs(const Rle& dt, const Foreground& of_dt, const Rle& gt, const Foreground& of_gt, bool crowd) {
  if (!same_size(dt, gt)) return -1;
  if (!of_dt.has_empty_run && !of_gt.has_empty_run) {
    const uint32_t both = intersection(dt.counts, gt.counts);
    return both == 0 ? 0 : double(both) / double(crowd ? of_dt.area : of_dt.area + of_gt.area - both);
  }
  uint32_t both = 0, either = 0;
  walk_both(dt, gt, [&](uint32_t pixels, bool inside_dt, bool inside_gt) {
    both += inside_dt && inside_gt ? pixels : 0;
    either += inside_dt || inside_gt ? pixels : 0;
  });
  if (both == 0) return 0;
  return double(both) / double(crowd ? area(dt) : either);
}

double iou(const Box& dt, const Box& gt, bool crowd) {
  const double w = std::fmin(dt[2] + dt[0], gt[2] + gt[0]) - std::fmax(dt[0], gt[0]);
  if (w <= 0) return 0;
  const double h = std::fmin(dt[3] + dt[1], gt[3] + gt[1]) - std::fmax(dt[1], gt[1]);
  if (h <= 0) return 0;
  const double both = w * h, area_dt = dt[2] * dt[3];
  return both / (crowd ? area_dt : area_dt + gt[2] * gt[3] - both);
}

double iou(const Rle& dt, const Rle& gt, bool crowd) {
  return iou(to_box(dt), to_box(gt), crowd) > 0 ? iou_of_runs(dt, gt, crowd) : 0;
}

}  // namespace iuq::mask
