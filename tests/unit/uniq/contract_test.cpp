#include <map>
#include <nlohmann/json.hpp>

#include "lib/uniq/inter_scene.h"
#include "lib/uniq/memory.h"
#include "tests/support/catch.h"
#include "tests/unit/model/parity.h"
#include "tests/unit/model/tiny_segmenters.h"
#include "tests/unit/uniq/support.h"

// What the method asks of every segmenter in the registry. One that is added there needs a row here. What the contract
// asks of it is in tests/unit/model/contract_test.cpp.

namespace {

using namespace iuq;
using namespace iuq::test;

struct Row {
  std::vector<std::string> query_branch;    // parameters that make the queries, by prefix
  std::vector<std::string> feature_branch;  // parameters that only the mask features depend on
};

const std::map<std::string, Row>& rows() {
  static const std::map<std::string, Row> table = {
      {"condinst", {{"controller."}, {"mask_branch."}}},
      {"mask2former",
       {{"sem_seg_head.predictor.mask_embed.", "sem_seg_head.predictor.query_feat."},
        {"sem_seg_head.pixel_decoder.mask_features."}}},
      {"solov2", {{"ins_head.kernel_tower.", "ins_head.kernel_pred."}, {"mask_head."}}},
      {"sotr", {{"cate_head.kernel_pred.", "cate_head.transformer."}, {"mask_head."}}},
  };
  return table;
}

// A batch of two scenes, with weights that make logits of a lively size.
struct Setting {
  std::vector<view::Instances> truth = {rectangles(1, 3, {64, 96}), rectangles(2, 3, {64, 96})};
  std::shared_ptr<Segmenter> segmenter;
  model::Encoded encoded;
  model::Queries queries;

  explicit Setting(const std::string& name) {
    segmenter = model::make_segmenter(tiny_segmenters().at(name), 3, 1);
    fill_segmenter(*segmenter);
    encoded = segmenter->encode(segmenter->backbone(noise(4, {2, 3, 64, 96})), {{64, 96}, {{64, 96}, {64, 96}}});
    queries = segmenter->assign(encoded, truth);
  }
};

// All cells of a map [D, H, W] as loose pixels of an instance at `anchor` [3].
model::PixelSet pixels_of(const at::Tensor& map, const at::Tensor& anchor, int64_t stride) {
  const int64_t height = map.size(1), width = map.size(2);
  const at::Tensor x = (torch::arange(width) * stride).repeat({height});
  const at::Tensor y = (torch::arange(height) * stride).repeat_interleave(width);
  return {map.flatten(1).t(), at::stack({x, y}, 1).to(at::kFloat), anchor.unsqueeze(0).expand({height * width, 3})};
}

}  // namespace

TEST_CASE("contract: every segmenter has a row", "[uniq][property]") {
  for (const std::string& name : model::segmenter_names()) {
    CAPTURE(name);
    CHECK(rows().count(name) == 1);
  }
}

TEST_CASE("contract: loose pixels of a query's map, with the query's anchor, have the map's logits", "[uniq][property]") {
  for (const auto& [name, row] : rows()) {
    CAPTURE(name);
    const torch::NoGradGuard guard;
    Setting s(name);
    REQUIRE(s.queries.count() >= 6);
    const at::Tensor maps = s.segmenter->mask_logits(s.queries, s.encoded.mask_features);  // [Q, H, W]
    const double size = maps.abs().mean().item<double>();
    REQUIRE(size > 1e-3);
    for (int64_t q = 0; q < s.queries.count(); ++q) {
      CAPTURE(q);
      const at::Tensor map = s.encoded.mask_features[s.queries.image[q].item<int64_t>()];
      const auto pixels = pixels_of(map, s.queries.anchor[q], s.segmenter->mask_stride());
      const at::Tensor loose = s.segmenter->pixel_logits(s.queries, pixels)[q];
      REQUIRE((loose - maps[q].flatten()).abs().max().item<double>() <= 1e-4 * size);
    }
  }
}

TEST_CASE("contract: the inter-scene gradient reaches what makes the queries, never the memory", "[uniq][property]") {
  for (const auto& [name, row] : rows()) {
    CAPTURE(name);
    Setting s(name);
    uniq::PixelBatch memory = uniq::sample_pixels(*s.segmenter, s.encoded.mask_features, s.truth, s.queries, {}, {}, 0, 0);
    REQUIRE(memory.count() > 0);
    CHECK_FALSE(memory.pixels.embeddings.requires_grad());
    memory.pixels.embeddings = memory.pixels.embeddings.clone().requires_grad_();
    const at::Tensor image_id = torch::tensor({1, 2}, at::kLong).index_select(0, s.queries.image);
    uniq::inter_scene_loss(*s.segmenter, s.queries, image_id, memory, {}, 0, 0).backward();
    for (const std::string& prefix : row.query_branch) {
      CAPTURE(prefix);
      CHECK(gradient_of(*s.segmenter, prefix) > 0);
    }
    for (const std::string& prefix : row.feature_branch) {
      CAPTURE(prefix);
      CHECK(gradient_of(*s.segmenter, prefix) == 0);
    }
    CHECK_FALSE(memory.pixels.embeddings.grad().defined());
  }
}
