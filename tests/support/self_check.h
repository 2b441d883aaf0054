#pragma once

#include <cstdint>
#include <string>

#include "lib/model/batch.h"

namespace iuq::model {
class Segmenter;
}

namespace iuq::uniq {

/// How well a segmenter's queries and features follow g: mean IoU over instances, on the cells of the mask feature map.
struct Agreement {
  int64_t instances = 0;  // that have a query in I as well as in g(I)
  double plain = 0;       // <q, F(I)> > 0 with M
  double fresh = 0;       // <q^g, F(g(I))> > 0 with g(M): the view through the network by itself
  double moved = 0;       // <q^g, g(F(I))> > 0 with g(M): what the equivariance loss looks at
};

/// Sums of Agreement's fields over images; mean() divides.
class AgreementSum {
 public:
  /// Adds the instances of one image.
  ///   image  [3, Hi, Wi] float32 on the segmenter's device; truth on its canvas; g on the same canvas
  ///   equi_at  as UniqConfig::equi_at
  /// The best-scoring query of each instance counts. Cells of g(I) that show nothing of I are left out. The segmenter
  /// should be trained and in eval mode: near-zero `moved` beside a high `fresh` means a wrong coordinate frame.
  /// Source: lib/uniq/METHOD.md 4.3.
  void add(model::Segmenter& segmenter, const at::Tensor& image, const view::Instances& truth,
           const view::ViewTransform& g, const std::string& equi_at);
  Agreement mean() const;

 private:
  Agreement sum_;
};

}  // namespace iuq::uniq
