#pragma once

#include <cstdint>
#include <vector>

#include "lib/eval/mask_iou.h"
#include "lib/eval/match.h"

namespace iuq::eval {

/// Which pairs belong to an image: those of image i are list[first[i]] .. list[first[i + 1]], by category.
struct PairsByImage {
  std::vector<uint32_t> list;   // indices into ImageCategories::list
  std::vector<size_t> first;    // [images + 1]
};

PairsByImage by_image(const EvalInput& input);

/// All categories of one image side by side, which matching, pair by pair, never sees. It keeps its storage from image
/// to image, so that one view a thread is all the memory a pass over the images takes.
class ImageView {
 public:
  struct Truth {
    uint32_t category;           // that of its pair: 0 when categories are pooled
    uint32_t position;           // into ImageCategories::gt
    const Annotation* value;
    bool ignored;                // a crowd, an ignored one, or out of the range "all": it counts neither way
  };
  struct Found {
    uint32_t category;
    const Detection* value;
    bool ignored_unless_matched;  // LVIS: its category is not annotated in full here; or its area is out of range
  };
  struct Overlap {
    uint32_t truth;  // into truths()
    double iou;      // > 0; with a crowd over the detection's area alone
  };

  /// Error(kUsage) for boundary IoU, which says nothing of shapes that hardly overlap; `analysis` is who asks.
  ImageView(const EvalInput& input, const PairsByImage& pairs, const char* analysis);

  /// Detections of a lower score are left out, as are those beyond the largest cut of their pair.
  void load(size_t image, double min_score);

  const std::vector<Truth>& truths() const { return truths_; }  // by category, then in the order of the pair
  const std::vector<Found>& found() const { return found_; }    // by falling score; ties by category, then file order
  /// What detection d overlaps, ascending.
  const Overlap* begin(size_t d) const { return overlaps_.data() + first_[d]; }
  const Overlap* end(size_t d) const { return overlaps_.data() + first_[d + 1]; }

 private:
  void add_pair(const ImageCategory& pair, double min_score);
  void find_overlaps();
  double iou_of(const Detection& detection, const Annotation& annotation);

  const EvalInput& in_;
  const PairsByImage& pairs_;
  std::vector<Truth> truths_;
  std::vector<Found> found_;
  std::vector<Overlap> overlaps_;
  std::vector<size_t> first_;
  std::vector<uint32_t> order_;  // detections of the pair at hand
  MaskIou masks_;                // of the detection at hand
};

}  // namespace iuq::eval
