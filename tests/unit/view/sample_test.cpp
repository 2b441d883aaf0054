#include "lib/view/sample.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/error.h"
#include "lib/data/annotations.h"
#include "tests/support/catch.h"
#include "tests/support/ramp_dataset.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using test::Ramp;

namespace {

struct Fixture {
  test::TempFolder folder;
  data::Dataset dataset;
  view::InputConfig input = Ramp::input();

  Fixture() : dataset(make(folder.path())) {
    input.lsj.size = 256;
    input.lsj.pad_value = 77;
  }
  static data::Dataset make(const std::string& folder) {
    Ramp::write(folder, 1);
    return data::Dataset::load(folder + "/annotations.json");
  }
  view::Placement draw(uint64_t seed, bool mirror) const {
    Rng rng(seed, "test jitter");
    return view::draw_jitter(input, {Ramp::kHeight, Ramp::kWidth}, mirror, rng);
  }
  view::Sample load(const view::Placement& placement) const {
    return view::load_sample(dataset, 0, folder.path(), input, placement);
  }
};

// [H, W] bool: cells whose neighbours, or themselves, do not all agree.
at::Tensor borders(const at::Tensor& mask) {
  const at::Tensor x = mask.to(at::kFloat).unsqueeze(0);
  const at::Tensor grown = at::max_pool2d(x, {3, 3}, {1, 1}, {1, 1}), shrunk = -at::max_pool2d(-x, {3, 3}, {1, 1}, {1, 1});
  return (grown != shrunk)[0];
}

}  // namespace

TEST_CASE("scene: after jitter the mask covers the pixels of its instance, and padding has the value asked for",
          "[view][property]") {
  Fixture f;
  f.input.lsj.max_scale = 5;  // so that a crop can miss the instance
  int64_t seen = 0, gone = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const view::Placement placement = f.draw(seed, seed % 2 == 1);
    const view::Sample scene = f.load(placement);
    CAPTURE(seed, placement.resized.width, placement.left, placement.top);
    REQUIRE(scene.image.sizes() == at::IntArrayRef({3, 256, 256}));
    REQUIRE(scene.truth.masks.sizes().slice(1) == at::IntArrayRef({256, 256}));
    const at::Tensor blue = scene.image[2].slice(0, 0, scene.valid.height).slice(1, 0, scene.valid.width) > 127.5;
    REQUIRE(scene.truth.count() <= 1);
    REQUIRE(scene.truth.labels.size(0) == scene.truth.count());
    if (scene.truth.count() == 1) {
      const at::Tensor mask = scene.truth.masks[0];
      const at::Tensor part = mask.slice(0, 0, scene.valid.height).slice(1, 0, scene.valid.width);
      REQUIRE(part.sum().item<int64_t>() == mask.sum().item<int64_t>());
      REQUIRE((part != blue).logical_and(borders(blue).logical_not()).sum().item<int64_t>() == 0);
      ++seen;
    } else {
      REQUIRE(blue.sum().item<int64_t>() == 0);
      ++gone;
    }
    const at::Tensor padding = at::cat({scene.image.slice(1, scene.valid.height).flatten(),
                                        scene.image.slice(2, scene.valid.width).flatten()});
    REQUIRE((padding == 77).all().item<bool>());
  }
  REQUIRE(seen > 20);
  REQUIRE(gone > 0);
}

TEST_CASE("scene: a pixel of the image at test size is found where from_test_size says", "[view][property]") {
  const Fixture f;
  int64_t checked = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    // Plain placements of all short sides, then jitter.
    const bool mirror = seed % 2 == 1;
    const view::Placement placement =
        seed < 4 ? view::plain_placement(f.input, {Ramp::kHeight, Ramp::kWidth}, f.input.short_side[seed / 2], mirror)
                 : f.draw(seed, mirror);
    const view::Sample scene = f.load(placement);
    const view::ViewTransform g = view::from_test_size(placement, f.input, {Ramp::kHeight, Ramp::kWidth});
    REQUIRE(g.size == view::Size{scene.image.size(1), scene.image.size(2)});
    const auto image = scene.image.accessor<float, 3>();
    const double enlarged = std::abs(g.x.scale) * 1.5;  // from the file's pixels to the canvas's
    for (double y = 20; y < 160; y += 23) {
      for (double x = 20; x < 220; x += 23) {
        const auto column = static_cast<int64_t>(std::lround(g.x.scale * x + g.x.offset));
        const auto row = static_cast<int64_t>(std::lround(g.y.scale * y + g.y.offset));
        if (column < 1 || row < 1 || column >= scene.valid.width - 1 || row >= scene.valid.height - 1) continue;
        CAPTURE(seed, x, y, column, row);
        // Test size is 1.5 times the file's. Half a pixel of the canvas is lost to rounding, a colour step to the file.
        const double slack = 0.55 / enlarged + 1;
        REQUIRE(std::abs(image[0][row][column] - Ramp::red((x + 0.5) / 1.5 - 0.5)) < slack * 255 / Ramp::kWidth);
        REQUIRE(std::abs(image[1][row][column] - Ramp::green((y + 0.5) / 1.5 - 0.5)) < slack * 255 / Ramp::kHeight);
        ++checked;
      }
    }
  }
  REQUIRE(checked > 200);
}

TEST_CASE("scene: jitter draws scales of the whole range and places of all the room", "[view][property]") {
  const Fixture f;
  double least = 10, most = 0;
  std::set<int64_t> left;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const view::Placement p = f.draw(seed, false);
    const double scale = static_cast<double>(p.resized.width) / 256;  // at 1 the longer side fits
    least = std::min(least, scale);
    most = std::max(most, scale);
    CAPTURE(seed);
    REQUIRE(std::abs(p.resized.width * 3 - p.resized.height * 4) <= 3);
    REQUIRE(p.left >= 0);
    REQUIRE(p.left <= std::max<int64_t>(0, p.resized.width - 256));
    REQUIRE(p.top <= std::max<int64_t>(0, p.resized.height - 256));
    left.insert(p.left);
  }
  REQUIRE(least == Approx(0.1).margin(0.02));
  REQUIRE(most == Approx(2.0).margin(0.02));
  REQUIRE(left.size() > 80);
}

TEST_CASE("scene: a crowd is no instance", "[view]") {
  const Fixture f;
  const std::string path = f.folder / "annotations.json";
  nlohmann::json annotations = nlohmann::json::parse(test::read_bytes(path));
  REQUIRE(view::load_truth(f.dataset, 0, f.input, 180, false).truth.count() == 1);
  annotations["annotations"][0]["iscrowd"] = 1;
  test::write_bytes(path, annotations.dump());
  const view::Instances truth = view::load_truth(data::Dataset::load(path), 0, f.input, 180, false).truth;
  REQUIRE(truth.count() == 0);
  REQUIRE(truth.masks.sizes() == at::IntArrayRef({0, 192, 256}));
}

TEST_CASE("scene: section input.lsj is read strictly", "[view][error]") {
  using nlohmann::json;
  const view::InputConfig config = json{{"lsj", {{"size", 1024}, {"pad_value", 0}}}}.get<view::InputConfig>();
  REQUIRE(config.lsj.size == 1024);
  REQUIRE(json(config)["lsj"] == json{{"size", 1024}, {"min_scale", 0.1}, {"max_scale", 2.0}, {"pad_value", 0.0}});
  for (const char* text : {R"({"size": 1000})", R"({"scale": 1})", R"({"min_scale": 0})", R"({"max_scale": 0.05})"}) {
    CAPTURE(text);
    REQUIRE_THROWS_AS((json{{"lsj", json::parse(text)}}.get<view::InputConfig>()), Error);
  }
}
