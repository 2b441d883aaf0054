#pragma once

#include <cstdint>
#include <vector>

namespace iuq::nn {

/// One map of a pyramid whose maps lie one behind the other in the token axis.
struct DeformLevel {
  int64_t height, width;
  int64_t first;  // token of its pixel (0, 0); row-major from there
};

/// The tensors of deformable attention as packed row-major arrays; T is float or double. Indices in this order:
///   value, grad_value [batch, tokens, heads, depth]        locations, grad_locations [batch, queries, heads, L, points, 2]
///   out, grad_out     [batch, queries, heads, depth]       weights, grad_weights     [batch, queries, heads, L, points]
template <class T>
struct DeformArguments {
  int64_t batch, tokens, heads, depth, queries, points;
  std::vector<DeformLevel> levels;  // L
  const T *value, *locations, *weights;
  T* out;             // forward
  const T* grad_out;  // backward, as all below
  T *grad_value, *grad_locations, *grad_weights;
};

/// The work falls into pieces that write to no common element, so pieces may run on different threads and the result
/// depends on neither their order nor their number. The kernels take a range of pieces, [begin, end).
/// A forward piece is one query of one head: there are batch * heads * queries. It sets its row of `out`; a location
/// that is not a number makes the row one, a location outside of its map by a pixel or more adds nothing.
template <class T>
void deform_forward(const DeformArguments<T>& arguments, int64_t begin, int64_t end);
/// A backward piece is one level of one head: there are batch * heads * L. It adds to `grad_value`, zero before the
/// first call, and sets `grad_locations` and `grad_weights`.
template <class T>
void deform_backward(const DeformArguments<T>& arguments, int64_t begin, int64_t end);

}  // namespace iuq::nn
