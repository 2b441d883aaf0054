// Broken inputs: each ends in one line that says file, index and key.
#include <functional>

#include "lib/base/error.h"
#include "lib/eval/report.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::test::Scene;
using nlohmann::json;

// The message of the error, or "" if there is none.
std::string complaint(const std::string& gt, const std::string& dt, const EvalConfig& config) {
  try {
    evaluate(gt, dt, config);
  } catch (const iuq::Error& e) {
    CHECK(e.code() == iuq::ErrorCode::kBadData);
    return e.what();
  }
  return "";
}

void fill(Scene& scene) {
  scene.add_image(7);
  scene.add_truth(7, {10, 10, 10, 10});
  scene.add_truth(7, {30, 30, 10, 10});
  scene.add_result(7, {10, 10, 10, 10}, .9);
  scene.add_result(7, {30, 30, 10, 10}, .8);
}

void expect_complaint(const std::function<void(Scene&)>& spoil, const std::string& file, const std::string& what) {
  Scene scene;
  fill(scene);
  spoil(scene);
  EvalConfig config;
  config.iou_types = {IouType::kSegm, IouType::kBbox};
  config.strict = true;
  const std::string message = complaint(scene.gt_path(), scene.dt_path(), config);
  CAPTURE(message, file, what);
  CHECK(message.find(file) != std::string::npos);
  CHECK(message.find(what) != std::string::npos);
}

json rle(const json& counts) { return {{"size", {100, 100}}, {"counts", counts}}; }

}  // namespace

TEST_CASE("eval: the unspoilt scene is evaluated", "[eval][golden]") {
  Scene scene;
  fill(scene);
  REQUIRE(complaint(scene.gt_path(), scene.dt_path(), {}).empty());
}

TEST_CASE("eval: broken results name the record and the key", "[eval][error]") {
  const auto spoil = [](const char* key, const json& value, const std::string& what) {
    expect_complaint([&](Scene& s) { s.dt[1][key] = value; }, "dt.json", what);
  };
  spoil("score", "high", "[1].score is \"high\", must be a number");
  spoil("score", nullptr, "[1].score is null, must be a number");
  spoil("image_id", 8, "[1].image_id is 8, which is not in the annotations; 1 of 2 results");
  spoil("image_id", 7.5, "[1].image_id is 7.5, must be an integer");
  spoil("image_id", uint64_t{1} << 63, "[1].image_id");
  spoil("category_id", "cat", "[1].category_id is \"cat\"");
  spoil("bbox", {1, 2, 3}, "[1].bbox is [1,2,3], must be four numbers");
  spoil("bbox", {1, 2, 3, "4"}, "[1].bbox");
  spoil("segmentation", 5, "[1].segmentation is 5, must be a list of polygons or an RLE object");
  spoil("segmentation", rle("0 0"), "[1].segmentation: compressed counts have a character");
  spoil("segmentation", rle("05P"), "[1].segmentation: compressed counts end inside a run");
  spoil("segmentation", rle("011"), "[1].segmentation: counts sum to 2 but size is 100 x 100");
  spoil("segmentation", rle({5, -1, 9996}), "[1].segmentation.counts[1]");
  spoil("segmentation", rle({5, 9994}), "[1].segmentation: counts sum to 9999");
  spoil("segmentation", {{"size", {100}}, {"counts", "0"}}, "[1].segmentation.size");
  spoil("segmentation", {{"size", {-1, 100}}, {"counts", "0"}}, "[1].segmentation.size[0]");
  spoil("segmentation", {{"size", {100, 100}}}, "[1].segmentation.counts");
  spoil("segmentation", {{1, 1, 2, 2}}, "[1].segmentation[0] has 4 numbers");
  spoil("segmentation", {{1, 1, 2, 1, 2, 1e300}}, "[1].segmentation: polygon vertex 2");
  expect_complaint([](Scene& s) { s.dt[1].erase("score"); }, "dt.json", "[1].score is missing");
  expect_complaint([](Scene& s) { s.dt[1].erase("bbox"); }, "dt.json", "[1].bbox is missing");
  expect_complaint([](Scene& s) { s.dt[0].erase("bbox"); }, "dt.json", "[0].segmentation is missing");
  expect_complaint([](Scene& s) { s.dt = {{"annotations", s.dt}}; }, "dt.json", "not a list of results");
}

TEST_CASE("eval: broken annotations name the section, the record and the key", "[eval][error]") {
  const auto spoil = [](const char* key, const json& value, const std::string& what) {
    expect_complaint([&](Scene& s) { s.gt["annotations"][1][key] = value; }, "gt.json", what);
  };
  spoil("area", "big", "annotations[1].area is \"big\"");
  spoil("id", "x", "annotations[1].id");
  spoil("iscrowd", "no", "annotations[1].iscrowd");
  spoil("bbox", nullptr, "annotations[1].bbox");
  spoil("segmentation", json::array(), "annotations[1].segmentation is missing or empty");
  spoil("segmentation", rle("011"), "annotations[1].segmentation: counts sum to 2");
  spoil("segmentation", {{"a", "b"}}, "annotations[1].segmentation.size");
  spoil("segmentation", {"abc"}, "annotations[1].segmentation[0] is \"abc\", must be a list of numbers");
  for (const char* key : {"id", "image_id", "category_id", "area", "iscrowd", "bbox", "segmentation"}) {
    expect_complaint([key](Scene& s) { s.gt["annotations"][1].erase(key); }, "gt.json",
                     std::string("annotations[1].") + key + " is missing");
  }
  expect_complaint([](Scene& s) { s.gt.erase("categories"); }, "gt.json", "has no list \"categories\"");
  expect_complaint([](Scene& s) { s.gt["images"][0].erase("id"); }, "gt.json", "images[0].id is missing");
  expect_complaint(
      [](Scene& s) {
        s.gt["images"][0].erase("height");
        s.gt["annotations"][1]["segmentation"] = {{1, 1, 5, 1, 5, 5}};
      },
      "gt.json", "image 7 has no valid height and width");
}

TEST_CASE("eval: annotations that do not count may be broken", "[eval][golden]") {
  Scene scene;
  fill(scene);
  scene.gt["annotations"].push_back({{"id", 9}, {"image_id", 1000}, {"category_id", 1}});
  scene.gt["annotations"].push_back({{"id", 10}, {"image_id", 7}, {"category_id", 1000}});
  REQUIRE(complaint(scene.gt_path(), scene.dt_path(), {}).empty());
}

TEST_CASE("eval: text that is not JSON is refused wherever it is cut", "[eval][error]") {
  Scene scene;
  fill(scene);
  const std::string gt = scene.gt_path(), dt = scene.dt_path(), results = scene.dt.dump(), truth = scene.gt.dump();
  for (size_t n = 0; n < results.size(); ++n) {
    CHECK_FALSE(complaint(gt, scene.write("cut.json", results.substr(0, n)), {}).empty());
  }
  for (size_t n = 0; n < truth.size(); n += 7) {
    CHECK_FALSE(complaint(scene.write("cut.json", truth.substr(0, n)), dt, {}).empty());
  }
  for (const char* text : {"[{\"image_id\": 7, \"category_id\": 1, \"score\": NaN, \"bbox\": [1, 1, 2, 2]}]", "[1]",
                           "[{\"image_id\": 7, \"category_id\": 1, \"score\": 1e999, \"bbox\": [1, 1, 2, 2]}]", "[[]]"}) {
    CHECK_FALSE(complaint(gt, scene.write("bad.json", text), {}).empty());
  }
}

TEST_CASE("eval: a config that makes no sense is a usage error", "[eval][error]") {
  const auto refuses = [](EvalConfig config) { CHECK_THROWS_AS(config.check(), iuq::Error); };
  EvalConfig config;
  config.check();
  for (const std::vector<int>& cuts : {std::vector<int>{1, 10}, {0, 1, 2}, {1, 1, 2}, {3, 2, 1}, {}}) {
    config.max_dets = cuts;
    refuses(config);
  }
  config = {};
  config.protocol = Protocol::kLvis;
  refuses(config);
  config.max_dets = {300};
  config.check();
  config.use_categories = false;
  refuses(config);
  REQUIRE_THROWS_AS(parse_iou_types("keypoints"), iuq::Error);
  REQUIRE_THROWS_AS(parse_protocol("voc"), iuq::Error);
  REQUIRE_THROWS_AS(evaluate("-", "-", {}), iuq::Error);
  REQUIRE_THROWS_AS(provenance_of("-", "x.json", {}), iuq::Error);
}
