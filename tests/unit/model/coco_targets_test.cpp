#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/data/annotations.h"
#include "lib/io/atomic_file.h"
#include "lib/model/common.h"
#include "lib/model/condinst/condinst.h"
#include "lib/model/condinst/targets.h"
#include "lib/model/solov2/solov2.h"
#include "lib/model/solov2/targets.h"
#include "tests/support/sha256.h"
#include "tests/unit/model/condinst_parity.h"
#include "tests/unit/model/grid_parity.h"

// Targets and losses on real images are those of AdelaiDet and of SOTR's authors: scripts/gen_fixtures_coco.py, whose header
// says what the digests are of.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

// Calls check(record of the fixture, instances of the image) for every image of it.
template <class Check>
void for_each_image(const Check& check) {
  const std::string path = std::string(IUQ_SHARED_DIR) + "/data/coco-mini/annotations/instances_train.json";
  if (!io::exists(path)) {
    WARN("skipped: " << path << " is missing");
    return;
  }
  const data::Dataset dataset = data::Dataset::load(path);
  const json fixture_data = fixture("coco_targets.json");
  REQUIRE(fixture_data.at("images").size() == 20);
  for (const json& wanted : fixture_data.at("images")) {
    CAPTURE(wanted.at("image").dump());
    const int64_t index = dataset.image_index(wanted.at("image"));
    REQUIRE(index >= 0);
    const data::Image& image = dataset.images()[static_cast<size_t>(index)];
    view::InputConfig input;  // at the image's own size
    input.long_side = std::max(image.height, image.width);
    const view::Sample scene = view::load_truth(dataset, index, input, std::min(image.height, image.width), false);
    REQUIRE(scene.truth.count() == wanted.at("instances").get<int64_t>());
    REQUIRE(scene.truth.masks.sizes().slice(1).vec() == wanted.at("canvas").get<std::vector<int64_t>>());
    check(wanted, scene.truth);
  }
}

view::Size canvas_of(const view::Instances& truth) { return {truth.masks.size(1), truth.masks.size(2)}; }

std::string digest(const std::ostringstream& listing) {
  const std::string text = listing.str();
  return support::sha256(text.data(), text.size());
}

template <class Target>
std::vector<int64_t> level_counts(const std::vector<Target>& targets) {
  std::vector<int64_t> counts(5, 0);
  for (const Target& target : targets) ++counts[static_cast<size_t>(target.level)];
  return counts;
}

void check_grid_losses(const Losses& losses, const json& wanted) {
  REQUIRE(wanted.is_object());
  for (const auto& [name, value] : losses) {
    INFO(name);
    CHECK(value.item<double>() == Approx(wanted.at(name).get<double>()).epsilon(1e-4));
  }
}

}  // namespace

TEST_CASE("solov2, sotr: targets on real images are the references'", "[model][golden]") {
  const Solov2Config config;
  for_each_image([&](const json& wanted, const view::Instances& truth) {
    const Solov2Targets targets = solov2_targets(truth, config);
    std::ostringstream listing;
    for (const Solov2Cell& c : targets.cells) {
      listing << "cell " << c.level << " " << c.row << " " << c.column << " " << c.instance << "\n";
    }
    for (size_t l = 0; l < targets.labels.size(); ++l) {
      const auto grid = static_cast<size_t>(config.grids[l]);
      for (size_t i = 0; i < targets.labels[l].size(); ++i) {
        if (targets.labels[l][i] < 0) continue;
        listing << "label " << l << " " << i / grid << " " << i % grid << " " << targets.labels[l][i] << "\n";
      }
    }
    const at::Tensor quarter = quarter_masks(truth.masks);
    for (int64_t n = 0; n < truth.count(); ++n) {
      const bool used = std::any_of(targets.cells.begin(), targets.cells.end(), [n](const auto& c) { return c.instance == n; });
      const at::Tensor set = at::nonzero(quarter[n]);
      listing << "mask ";
      if (used) {
        listing << set.size(0) << " " << set.select(1, 1).sum().item<int64_t>() << " " << set.select(1, 0).sum().item<int64_t>();
      } else {
        listing << "none";
      }
      listing << "\n";
    }
    for (const char* reference : {"solov2", "sotr"}) {
      CAPTURE(reference);
      CHECK(json(level_counts(targets.cells)) == wanted.at(reference).at("levels"));
      CHECK(digest(listing) == wanted.at(reference).at("sha256"));
    }
  });
}

TEST_CASE("condinst: targets on real images are the reference's", "[model][golden]") {
  for_each_image([](const json& wanted, const view::Instances& truth) {
    const auto positives = condinst_targets(truth, level_sizes(canvas_of(truth)), {});
    std::ostringstream listing;
    for (const CondInstPositive& p : positives) {
      listing << p.level << " " << p.row << " " << p.column << " " << p.instance;
      for (const float side : p.distances) listing << " " << side * static_cast<float>(kStride << p.level);
      listing << "\n";
    }
    CHECK(json(level_counts(positives)) == wanted.at("condinst").at("levels"));
    CHECK(digest(listing) == wanted.at("condinst").at("sha256"));
  });
}

TEST_CASE("solov2, condinst: losses on real images are the reference's", "[model][golden]") {
  const json data = fixture("coco_targets.json");
  const int64_t classes = data.at("classes");
  Solov2Config grid_config;
  grid_config.backbone.choice = nn::ResNetConfig{.name = "resnet10"};
  grid_config.embedding = data.at("embedding");
  Solov2 solov2(grid_config, classes);
  CondInst condinst(small_config(), classes);
  int64_t images = 0;
  for_each_image([&](const json& wanted, const view::Instances& truth) {
    if (!wanted.contains("solov2_losses")) return;
    ++images;
    const torch::NoGradGuard guard;
    const std::vector<view::Instances> batch = {truth};
    const Encoded cells = encoded_of(wanted.at("solov2_losses").at("tag"), canvas_of(truth), 1, classes, grid_config);
    check_grid_losses(solov2.base_losses(cells, solov2.assign(cells, batch), batch), wanted.at("solov2_losses"));
    const Encoded points = encoded_of(wanted.at("condinst_losses").at("tag"), canvas_of(truth), 1, classes);
    const Queries queries = condinst.assign(points, batch);
    CHECK(queries.count() == wanted.at("condinst_losses").at("positives").get<int64_t>());
    check_grid_losses(condinst.base_losses(points, queries, batch), wanted.at("condinst_losses"));
  });
  CHECK((images == 0 || images == 3));
}
