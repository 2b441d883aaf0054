#include "lib/uniq/best_queries.h"

#include <torch/types.h>

namespace iuq::uniq {

std::vector<int64_t> best_queries(const model::Queries& queries, int64_t image, int64_t instances) {
  std::vector<int64_t> best(static_cast<size_t>(instances), -1);
  const at::Tensor image_of = queries.image.to(at::kCPU).contiguous();
  const at::Tensor instance_of = queries.instance.to(at::kCPU).contiguous();
  const at::Tensor score = queries.score.to(at::kCPU).contiguous();
  const int64_t* const images = image_of.data_ptr<int64_t>();
  const int64_t* const owner = instance_of.data_ptr<int64_t>();
  const float* const scores = score.data_ptr<float>();
  for (int64_t q = 0; q < queries.count(); ++q) {
    if (images[q] != image) continue;
    int64_t& b = best[static_cast<size_t>(owner[q])];
    if (b < 0 || scores[q] > scores[b]) b = q;
  }
  return best;
}

}  // namespace iuq::uniq
