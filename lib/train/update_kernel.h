#pragma once

#include <cstdint>

// The update of a stretch of a parameter's values in one pass over them, where LibTorch makes a pass, and a call of a few
// microseconds, for each operation of the formula: small models spent a tenth of a step there. Values do not overlap.
namespace iuq::train {

struct SgdFactors {
  float lr = 0, momentum = 0, weight_decay = 0;
};
/// gradient += weight_decay * value; velocity = momentum * velocity + gradient; value -= lr * velocity. `velocity` starts at
/// 0, which makes the first one the gradient itself; null without momentum. The gradient stays as it is.
void sgd_update(float* value, const float* gradient, float* velocity, int64_t count, const SgdFactors& factors);

struct AdamwFactors {
  float decay = 1;                         // 1 - lr * weight_decay
  float old_mean = 0, new_mean = 1;        // beta1, 1 - beta1
  float old_square = 0, new_square = 1;    // beta2, 1 - beta2
  float rate = 0;                          // lr / (1 - beta1^steps)
  float square_scale = 1;                  // sqrt(1 - beta2^steps)
  float eps = 0;
};
/// mean = old_mean * mean + new_mean * gradient; square likewise of its squares;
/// value = decay * value - rate * mean / (sqrt(square) / square_scale + eps).
/// Algorithm 2 of the paper, in the order of LibTorch's AdamW. Source: Loshchilov and Hutter, "Decoupled Weight Decay
/// Regularization", section 2.
void adamw_update(float* value, const float* gradient, float* mean, float* square, int64_t count,
                  const AdamwFactors& factors);

/// The sum of the squares, in an order that `count` alone decides.
double sum_of_squares(const float* values, int64_t count);
void scale(float* values, int64_t count, float factor);

}  // namespace iuq::train
