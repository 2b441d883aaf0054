#include "lib/model/batch.h"

#include <torch/types.h>

#include "lib/base/error.h"
#include "lib/view/shape.h"

namespace iuq::model {

using view::expect_shape;

void refuse_state(const SegmenterState* state, const char* owner) {
  throw Error(ErrorCode::kInternal, cat("internal error: ", owner, " was given a batch ",
                                        state ? "of another segmenter" : "without the state it keeps with it"));
}

// A field that is missing from these lists is a warning of the compiler.
Queries Queries::rows(const at::Tensor& index) const {
  const auto pick = [&](const at::Tensor& field) { return field.index_select(0, index); };
  return {pick(vectors), pick(image), pick(instance), pick(label), pick(score), pick(anchor), targets, draw};
}

Queries Queries::cat(const std::vector<Queries>& parts) {
  IUQ_ASSERT(!parts.empty());
  const auto join = [&](at::Tensor Queries::*field) {
    std::vector<at::Tensor> tensors;
    for (const Queries& part : parts) tensors.push_back(part.*field);
    return at::cat(tensors);
  };
  return {join(&Queries::vectors), join(&Queries::image),  join(&Queries::instance), join(&Queries::label),
          join(&Queries::score),   join(&Queries::anchor), nullptr,                  0};
}

void Queries::check(int64_t width) const {
  expect_shape(vectors, {-1, width}, at::kFloat, "queries.vectors");
  const int64_t q = count();
  expect_shape(image, {q}, at::kLong, "queries.image");
  expect_shape(instance, {q}, at::kLong, "queries.instance");
  expect_shape(label, {q}, at::kLong, "queries.label");
  expect_shape(score, {q}, at::kFloat, "queries.score");
  expect_shape(anchor, {q, 3}, at::kFloat, "queries.anchor");
}

PixelSet PixelSet::slice(int64_t first, int64_t last) const {
  return {embeddings.slice(0, first, last), position.slice(0, first, last), anchor.slice(0, first, last)};
}

void PixelSet::check(int64_t width) const {
  expect_shape(embeddings, {-1, width}, at::kFloat, "pixels.embeddings");
  expect_shape(position, {count(), 2}, at::kFloat, "pixels.position");
  expect_shape(anchor, {count(), 3}, at::kFloat, "pixels.anchor");
}

}  // namespace iuq::model
