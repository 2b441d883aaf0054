#include "lib/uniq/inter_scene.h"

#include <cmath>
#include <functional>

#include "tests/support/catch.h"
#include "tests/unit/uniq/support.h"

using namespace iuq;
using namespace iuq::uniq;

namespace {

struct Case {
  std::shared_ptr<model::Segmenter> segmenter = model::make_segmenter(test::tiny_model(), 3, 1);
  model::Queries queries;
  at::Tensor query_image;
  PixelBatch pixels;

  Case(int64_t q, int64_t p, uint64_t seed, float scale) {
    const auto ids = [&](int64_t n, int64_t kinds) { return torch::arange(n, at::kLong).remainder(kinds); };
    queries.vectors = (test::noise(seed, {q, 16}) * scale).requires_grad_();
    queries.image = queries.instance = queries.label = torch::zeros({q}, at::kLong);
    queries.score = torch::zeros({q});
    queries.anchor = torch::zeros({q, 3});
    query_image = ids(q, 3);
    pixels.pixels = {test::noise(seed + 1, {p, 16}), torch::zeros({p, 2}), torch::zeros({p, 3})};
    pixels.image_id = ids(p, 5);
    pixels.instance_id = pixels.category = torch::zeros({p}, at::kLong);
  }
};

// The definition, pair by pair, in double.
double plain_loss(const Case& s, double alpha, double gamma) {
  double sum = 0;
  int64_t pairs = 0;
  for (int64_t q = 0; q < s.queries.count(); ++q) {
    for (int64_t p = 0; p < s.pixels.count(); ++p) {
      if (s.query_image[q].item<int64_t>() == s.pixels.image_id[p].item<int64_t>()) continue;
      const double x = (s.queries.vectors[q] * s.pixels.pixels.embeddings[p]).sum().item<double>();
      const double prob = 1 / (1 + std::exp(-x));
      sum += (1 - alpha) * std::pow(prob, gamma) * std::log1p(std::exp(x));
      ++pairs;
    }
  }
  return pairs ? sum / static_cast<double>(pairs) : 0;
}

}  // namespace

TEST_CASE("inter-scene: equals the definition, and its gradient a difference quotient", "[uniq][property]") {
  for (const double gamma : {2.0, 1.5}) {
    Case s(7, 40, 5, 0.3f);
    UniqConfig config;
    config.focal_gamma = gamma;
    const at::Tensor loss = inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, config, 0, 0);
    REQUIRE(loss.item<double>() == Approx(plain_loss(s, 0.25, gamma)).epsilon(1e-5));
    loss.backward();
    const at::Tensor gradient = s.queries.vectors.grad();
    for (const auto& [q, c] : {std::pair<int64_t, int64_t>{0, 0}, {3, 7}, {6, 15}}) {
      const double step = 1e-3;
      const torch::NoGradGuard guard;
      s.queries.vectors.index({q, c}).add_(step);
      const double up = plain_loss(s, 0.25, gamma);
      s.queries.vectors.index({q, c}).sub_(2 * step);
      const double down = plain_loss(s, 0.25, gamma);
      s.queries.vectors.index({q, c}).add_(step);
      REQUIRE(gradient.index({q, c}).item<double>() == Approx((up - down) / (2 * step)).epsilon(2e-2).margin(1e-6));
    }
  }
}

TEST_CASE("inter-scene: the loss at logit 0 is 0.129965, the known value of focal(.25, 2)", "[uniq][golden]") {
  Case s(3, 5, 1, 0.0f);
  const auto loss = inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, {}, 0, 0);
  REQUIRE(loss.item<double>() == Approx(0.129965).epsilon(1e-5));
}

TEST_CASE("inter-scene: pixels of the query's own image never count", "[uniq][property]") {
  Case s(4, 30, 9, 1.0f);
  s.query_image.fill_(2);
  s.pixels.image_id.fill_(2);
  const auto none = inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, {}, 0, 0);
  REQUIRE(none.item<double>() == 0);
  none.backward();
  REQUIRE(s.queries.vectors.grad().abs().max().item<double>() == 0);
  s.pixels.image_id[11].fill_(3);
  const auto one = inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, {}, 0, 0);
  REQUIRE(one.item<double>() == Approx(plain_loss(s, 0.25, 2)).epsilon(1e-5));
}

TEST_CASE("inter-scene: blocks do not change the loss", "[uniq][property]") {
  Case s(3, 900000, 2, 0.2f);  // more pairs than one block takes
  const auto whole = inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, {}, 0, 0);
  const at::Tensor x = s.queries.vectors.detach().matmul(s.pixels.pixels.embeddings.t());
  const at::Tensor foreign = s.query_image.unsqueeze(1) != s.pixels.image_id.unsqueeze(0);
  const at::Tensor terms = 0.75 * at::sigmoid(x).pow(2) * at::softplus(x) * foreign;
  REQUIRE(whole.item<double>() == Approx((terms.sum() / foreign.sum()).item<double>()).epsilon(1e-4));
}

TEST_CASE("inter-scene: tensors of another shape or type are refused by name", "[uniq][error]") {
  const auto refuses = [](const char* what, const std::function<void(Case&)>& change) {
    Case s(4, 30, 9, 1.0f);
    change(s);
    CHECK_THROWS_WITH(inter_scene_loss(*s.segmenter, s.queries, s.query_image, s.pixels, {}, 0, 0),
                      Catch::Contains(what));
  };
  refuses("queries.vectors must be [*, 16] float32, but is [4, 15] float32",
          [](Case& s) { s.queries.vectors = s.queries.vectors.slice(1, 1); });
  refuses("queries.image must", [](Case& s) { s.queries.image = s.queries.image.to(at::kInt); });
  refuses("query_image_id must be [4] int64", [](Case& s) { s.query_image = s.query_image.slice(0, 1); });
  refuses("pixels.embeddings must be [*, 16] float32",
          [](Case& s) { s.pixels.pixels.embeddings = torch::zeros({30, 8}); });
  refuses("pixels.position must", [](Case& s) { s.pixels.pixels.position = torch::zeros({30, 3}); });
  refuses("pixels.image_id must", [](Case& s) { s.pixels.image_id = s.pixels.image_id.to(at::kFloat); });
  refuses("pixels.category must", [](Case& s) { s.pixels.category = at::Tensor(); });
}
