#include <fstream>
#include <functional>
#include <sstream>

#include "lib/base/error.h"
#include "lib/model/mask2former/mask2former.h"
#include "lib/model/segmenter.h"
#include "lib/model/solov2/heads.h"
#include "lib/nn/backbone.h"
#include "lib/nn/backbone_config.h"
#include "lib/nn/conv.h"
#include "tests/support/catch.h"
#include "tests/unit/model/tiny_segmenters.h"
#include "tests/unit/uniq/support.h"

// What every segmenter of the registry must have, and what the contract's calls refuse.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

constexpr view::Size kCanvas{64, 96};

// A batch of two images with three instances each.
TinyBatch batch_of(const std::string& name) {
  return tiny_batch({rectangles(1, 3, kCanvas), rectangles(2, 3, kCanvas)},
                    noise(4, {2, 3, kCanvas.height, kCanvas.width}), tiny_segmenters().at(name));
}

PixelSet some_pixels(int64_t count, int64_t width) {
  return {torch::zeros({count, width}), torch::zeros({count, 2}), torch::zeros({count, 3})};
}

// The call must name what it does not like, and say that it is our own fault.
void refuses(const std::string& what, const std::function<void()>& call) {
  CAPTURE(what);
  try {
    call();
    FAIL_CHECK("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::kInternal);
    CHECK_THAT(std::string(e.what()), Catch::Contains(what));
  }
}

template <class T>
T with(T value, const std::function<void(T&)>& change) {
  change(value);
  return value;
}

std::string text_of(const std::string& path) {
  std::ifstream file(std::string(IUQ_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

// What a compiler cannot ask for. lib/model/README.md says how to add a segmenter.
TEST_CASE("contract: every segmenter has a tiny config, a line in the README, a toy variant and a recipe",
          "[model][property]") {
  const std::string readme = text_of("lib/model/README.md");
  const nlohmann::json toy = nlohmann::json::parse(text_of("pipelines/toy.json"));
  for (const std::string& name : segmenter_names()) {
    CAPTURE(name);
    CHECK(tiny_segmenters().count(name) == 1);
    CHECK_THAT(readme, Catch::Contains("`" + name + "`"));
    CHECK((toy.at("model").at("name") == name || toy.at("variants").contains(name)));
    CHECK_FALSE(text_of("pipelines/" + name + "-r50-coco.json").empty());
  }
}

TEST_CASE("contract: maps of another shape or type are refused by name", "[model][error]") {
  for (const auto& [name, config] : tiny_segmenters()) {
    CAPTURE(name);
    const TinyBatch b = batch_of(name);
    Segmenter& s = *b.segmenter;
    const Frame& frame = b.encoded.frame;
    using Maps = FeaturePyramid;
    refuses("images must be [*, 3, *, *] float32, but is [2, 1, 64, 96] float32",
            [&] { s.backbone(torch::zeros({2, 1, 64, 96})); });
    refuses("images must", [&] { s.backbone(torch::zeros({2, 3, 64, 96}, at::kByte)); });
    refuses("backbone must be 4 long, but is 3 long",
            [&] { s.neck(with<Maps>(b.backbone, [](Maps& m) { m.pop_back(); })); });
    refuses("backbone[1] must", [&] { s.neck(with<Maps>(b.backbone, [](Maps& m) { m[1] = m[1].slice(1, 1); })); });
    refuses("backbone[2] must", [&] { s.neck(with<Maps>(b.backbone, [](Maps& m) { m[2] = m[2].to(at::kDouble); })); });
    refuses("neck[1] must",
            [&] { s.mask_features(with<Maps>(b.encoded.neck, [](Maps& m) { m[1] = m[1].slice(0, 0, 1); }), frame); });
    refuses("mask_features must", [&] { s.mask_features(b.encoded.neck, {{128, 96}, frame.valid}); });
    refuses("backbone[0] must be [1, ", [&] { s.encode(b.backbone, {kCanvas, {kCanvas}}); });
    refuses("backbone[0] must", [&] { s.encode(b.backbone, {{64, 128}, {kCanvas, kCanvas}}); });
  }
}

TEST_CASE("contract: batches, ground truth and queries that do not belong together are refused by name", "[model][error]") {
  for (const auto& [name, config] : tiny_segmenters()) {
    CAPTURE(name);
    const TinyBatch b = batch_of(name);
    Segmenter& s = *b.segmenter;
    using Truth = std::vector<view::Instances>;
    const auto truth = [&](const std::function<void(Truth&)>& change) { return with<Truth>(b.truth, change); };
    const auto queries = [&](const std::function<void(Queries&)>& change) { return with<Queries>(b.queries, change); };
    const auto encoded = [&](const std::function<void(Encoded&)>& change) { return with<Encoded>(b.encoded, change); };

    const auto features = encoded([](Encoded& e) { e.mask_features = e.mask_features.slice(1, 1); });
    refuses("encoded.mask_features must", [&] { s.assign(features, b.truth); });
    refuses("encoded.mask_features must", [&] { s.predict(features); });
    refuses("truth must be 2 long", [&] { s.assign(b.encoded, truth([](Truth& t) { t.pop_back(); })); });
    refuses("truth[1].masks must be [3, 64, 96] bool",
            [&] { s.assign(b.encoded, truth([](Truth& t) { t[1].masks = t[1].masks.slice(2, 0, 64); })); });
    refuses("truth[0].labels must",
            [&] { s.assign(b.encoded, truth([](Truth& t) { t[0].labels = t[0].labels.to(at::kInt); })); });
    refuses("queries.vectors must",
            [&] { s.base_losses(b.encoded, queries([](Queries& q) { q.vectors = q.vectors.slice(1, 1); }), b.truth); });

    const auto loss = [&](const Queries& q, const at::Tensor& map, const at::Tensor& valid) {
      s.mask_loss(q, map, b.truth, valid);
    };
    const at::Tensor& map = b.encoded.mask_features;
    refuses("queries.instance must",
            [&] { loss(queries([](Queries& q) { q.instance = q.instance.slice(0, 1); }), map, {}); });
    refuses("mask_features must", [&] { loss(b.queries, map.slice(0, 1), {}); });
    refuses("mask_features must", [&] { loss(b.queries, map.slice(2, 1), {}); });
    refuses("valid must", [&] { loss(b.queries, map, torch::ones({2, map.size(2), map.size(3)})); });
    refuses("queries.anchor must", [&] { s.mask_logits(queries([](Queries& q) { q.anchor = at::Tensor(); }), map); });
    refuses("mask_features must", [&] { s.mask_logits(b.queries, map[0]); });
    const PixelSet pixels = some_pixels(5, s.mask_channels());
    refuses("queries.score must",
            [&] { s.pixel_logits(queries([](Queries& q) { q.score = q.score.to(at::kDouble); }), pixels); });
    refuses("pixels.embeddings must", [&] { s.pixel_logits(b.queries, some_pixels(5, s.mask_channels() + 1)); });
    refuses("pixels.anchor must",
            [&] { s.pixel_logits(b.queries, with<PixelSet>(pixels, [](PixelSet& p) { p.anchor = p.position; })); });
    refuses("truth[0].masks must",
            [&] { s.instance_cells(truth([](Truth& t) { t[0].masks = t[0].masks.to(at::kByte); })[0]); });
    refuses("masks must", [&] { s.to_canvas(torch::zeros({16, 24}), kCanvas); });
    refuses("masks must", [&] { s.score_factors(torch::zeros({2, 16, 24}, at::kBool)); });
  }
}

TEST_CASE("contract: what a segmenter keeps with a batch is its own", "[model][error]") {
  struct Foreign : SegmenterState {};
  for (const auto& [name, config] : tiny_segmenters()) {
    CAPTURE(name);
    TinyBatch b = batch_of(name);
    b.encoded.heads = std::make_shared<Foreign>();
    refuses("was given a batch of another segmenter", [&] { b.segmenter->assign(b.encoded, b.truth); });
    refuses("was given a batch of another segmenter", [&] { b.segmenter->predict(b.encoded); });
    b.encoded.heads = nullptr;
    refuses("was given a batch without the state it keeps with it", [&] { b.segmenter->predict(b.encoded); });
    TinyBatch c = batch_of(name);
    c.queries.targets = nullptr;
    refuses("was given a batch without the state it keeps with it",
            [&] { c.segmenter->base_losses(c.encoded, c.queries, c.truth); });
    // The mask loss is asked of queries outside of their batch, so it needs none.
    CHECK_NOTHROW(c.segmenter->mask_loss(c.queries, c.encoded.mask_features, c.truth, {}));
  }
  const TinyBatch grid = batch_of("solov2");
  refuses("Mask2Former was given", [&] { own_state<Mask2FormerRounds>(grid.encoded.heads); });
}

TEST_CASE("contract: rows of queries keep all that the queries have", "[model][property]") {
  const TinyBatch b = batch_of("condinst");
  REQUIRE(b.queries.count() >= 4);
  Queries all = b.queries;
  all.draw = 7;
  const at::Tensor index = torch::tensor({3, 0}, at::kLong);
  const Queries some = all.rows(index);
  some.check(b.segmenter->query_width());
  CHECK(some.count() == 2);
  CHECK(some.vectors.equal(all.vectors.index_select(0, index)));
  CHECK(some.vectors.requires_grad());
  CHECK(some.image.equal(all.image.index_select(0, index)));
  CHECK(some.instance.equal(all.instance.index_select(0, index)));
  CHECK(some.label.equal(all.label.index_select(0, index)));
  CHECK(some.score.equal(all.score.index_select(0, index)));
  CHECK(some.anchor.equal(all.anchor.index_select(0, index)));
  CHECK(some.targets == all.targets);
  CHECK(some.draw == 7);
  CHECK(all.rows(torch::zeros({0}, at::kLong)).count() == 0);

  const Queries joined = Queries::cat({some, all});
  joined.check(b.segmenter->query_width());
  CHECK(joined.count() == all.count() + 2);
  CHECK(joined.anchor.equal(at::cat({some.anchor, all.anchor})));
  CHECK(joined.score.equal(at::cat({some.score, all.score})));
  CHECK(joined.targets == nullptr);
}

namespace {

// A fifth segmenter that does what the compiler asks for and no more. Each of its outputs can be made wrong.
class Fifth : public Segmenter {
 public:
  Fifth()
      : Segmenter({"Fifth", "backbone.", /*mask_stride=*/4, /*mask_channels=*/8, /*query_width=*/8},
                  nn::make_backbone(nlohmann::json{{"name", "resnet10"}, {"width", 8}}.get<nn::BackboneConfig>())) {}
  std::string wrong;

 protected:
  FeaturePyramid do_neck(const FeaturePyramid& backbone) override { return backbone; }
  at::Tensor do_mask_features(const FeaturePyramid& neck) override {
    return neck[wrong == "mask_features" ? 1 : 0].slice(1, 0, 8);
  }
  std::shared_ptr<const SegmenterState> do_heads(const FeaturePyramid&, const at::Tensor&) override { return nullptr; }
  Queries do_assign(const Encoded&, const std::vector<view::Instances>&) override {
    const at::Tensor ids = torch::zeros({2}, at::kLong), anchor = torch::zeros({2, wrong == "queries.anchor" ? 2 : 3});
    return {torch::ones({2, 8}), ids, ids, ids, torch::zeros({2}), anchor, nullptr, 0};
  }
  Losses do_base_losses(const Encoded&, const Queries& queries, const std::vector<view::Instances>&) override {
    return {{"mass", wrong == "mass" ? queries.vectors : queries.vectors.sum()}};
  }
  at::Tensor do_mask_loss(const Queries& queries, const at::Tensor&, const std::vector<view::Instances>&,
                          const at::Tensor&) override {
    return wrong == "mask_loss" ? queries.vectors : queries.vectors.sum();
  }
  at::Tensor do_cells(const at::Tensor& masks) override {
    if (wrong == "instance_cells") return masks;
    return masks.slice(1, 0, masks.size(1), 4).slice(2, 0, masks.size(2), 4);
  }
  std::vector<Prediction> do_predict(const Encoded& encoded) override {
    const Prediction found{torch::ones({1}), torch::zeros({1}, wrong == "prediction.labels" ? at::kInt : at::kLong),
                           encoded.mask_features[0].slice(0, 0, 1)};
    return {found};
  }
};

}  // namespace

TEST_CASE("contract: a segmenter's own outputs are held to it, and inner products are there for free",
          "[model][property]") {
  Fifth s;
  nn::init_modules_(s, /*seed=*/1);
  const torch::NoGradGuard guard;
  const std::vector<view::Instances> truth = {rectangles(1, 2, kCanvas)};
  const FeaturePyramid maps = s.backbone(noise(4, {1, 3, kCanvas.height, kCanvas.width}));
  const Frame frame{kCanvas, {kCanvas}, 5};
  const auto everything = [&] {
    const Encoded encoded = s.encode(maps, frame);
    const Queries queries = s.assign(encoded, truth);
    s.base_losses(encoded, queries, truth);
    s.mask_loss(queries, encoded.mask_features, truth, {});
    s.instance_cells(truth[0]);
    s.predict(encoded);
  };
  CHECK_NOTHROW(everything());
  for (const char* what :
       {"mask_features", "queries.anchor", "mass", "mask_loss", "instance_cells", "prediction.labels"}) {
    s.wrong = what;
    refuses(std::string(what) + " must be", everything);
  }
  s.wrong.clear();
  const Encoded encoded = s.encode(maps, frame);
  const Queries queries = s.assign(encoded, truth);
  CHECK(queries.draw == 5);
  const at::Tensor sums = encoded.mask_features[0].sum(0);
  REQUIRE(sums.abs().max().item<double>() > 0);
  CHECK(at::allclose(s.mask_logits(queries, encoded.mask_features)[1], sums, 1e-4, 1e-5));
  PixelSet pixels = some_pixels(kCanvas.height / 4 * kCanvas.width / 4, 8);
  pixels.embeddings = encoded.mask_features[0].flatten(1).t();
  CHECK(at::allclose(s.pixel_logits(queries, pixels)[0], sums.flatten(), 1e-4, 1e-5));
}
