#include "lib/eval/confusion.h"

#include <limits>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/random_scene.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::test::Scene;
using nlohmann::json;

EvalConfig confusion_config(IouType type, int threads = 1) {
  EvalConfig config;
  config.iou_types = {type};
  config.threads = threads;
  return config;
}

Confusion confuse_files(const Scene& scene, const EvalConfig& config, double iou = .5, double min_score = .3) {
  Confusion out;
  evaluate(scene.gt_path(), scene.dt_path(), config, [&](const EvalInput& input, const MatchTable&, const Curves&) {
    out = count_confusions(input, iou, min_score);
  });
  return out;
}

Confusion confuse_scene(const Scene& scene, double iou = .5, double min_score = .3) {
  return confuse_files(scene, confusion_config(IouType::kBbox), iou, min_score);
}

void start_with_two_categories(Scene& scene) {
  scene.gt["categories"].push_back({{"id", 2}, {"name", "two"}});
  scene.add_image(1);
}

constexpr iuq::mask::Box kA = {10, 10, 20, 20}, kB = {60, 60, 20, 20}, kC = {10, 60, 20, 20};
constexpr iuq::mask::Box kNowhere = {70, 5, 20, 20};

void put_everything_once(Scene& scene) {
  start_with_two_categories(scene);
  scene.add_truth(1, kA);
  scene.add_truth(1, kB, false, 2);
  scene.add_truth(1, kC);
  scene.add_result(1, kA, .9, 2);        // confused
  scene.add_result(1, kB, .8, 2);        // right
  scene.add_result(1, kNowhere, .7, 2);  // invented
  scene.add_result(1, kC, .2);           // below the lowest score, so its object is missed
}

}  // namespace

TEST_CASE("eval confusion: right, confused, missed and invented, by hand", "[eval][golden]") {
  Scene scene;
  put_everything_once(scene);
  for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
    const Confusion confusion = confuse_files(scene, confusion_config(type));
    REQUIRE(confusion.counts == std::vector<int64_t>{0, 1, 1,    // one: as two, as nothing
                                                     0, 1, 0,    // two: as two
                                                     0, 1, 0});  // nothing: as two
  }
  REQUIRE(confuse_scene(scene, .5, .2).at(0, 0) == 1);  // a score that is just met counts
}

TEST_CASE("eval confusion: the best-scored chooses first, and takes what it overlaps best", "[eval][golden]") {
  Scene scene;
  start_with_two_categories(scene);
  scene.add_truth(1, {10, 10, 20, 20});
  scene.add_truth(1, {10, 10, 20, 18}, false, 2);
  scene.add_result(1, {10, 10, 20, 18}, .9);     // category one, but on the second to the pixel
  scene.add_result(1, {10, 10, 20, 18}, .8, 2);  // what it wants is taken; the other is met by .9
  REQUIRE(confuse_scene(scene).counts == std::vector<int64_t>{0, 1, 0, 1, 0, 0, 0, 0, 0});
  REQUIRE(confuse_scene(scene, .95).counts == std::vector<int64_t>{0, 0, 1, 1, 0, 0, 0, 1, 0});
}

TEST_CASE("eval confusion: of equal overlaps the own category is taken", "[eval][golden]") {
  for (const int64_t own : {1, 2}) {
    Scene scene;
    start_with_two_categories(scene);
    scene.add_truth(1, kA);
    scene.add_truth(1, kA, false, 2);
    scene.add_result(1, kA, .9, own);
    const Confusion confusion = confuse_scene(scene);
    REQUIRE(confusion.at(size_t(own - 1), size_t(own - 1)) == 1);
    REQUIRE(confusion.at(size_t(2 - own), confusion.nothing()) == 1);
  }
}

TEST_CASE("eval confusion: a crowd of any category absorbs what finds nothing else", "[eval][golden]") {
  Scene scene;
  start_with_two_categories(scene);
  scene.add_truth(1, {0, 0, 60, 60}, true);
  scene.add_truth(1, kA);
  scene.add_result(1, kA, .9);
  scene.add_result(1, {40, 40, 10, 10}, .8);
  scene.add_result(1, {45, 45, 10, 10}, .7, 2);
  scene.add_result(1, {55, 55, 20, 20}, .6, 2);  // mostly beside it
  REQUIRE(confuse_scene(scene).counts == std::vector<int64_t>{1, 0, 0, 0, 0, 0, 0, 1, 0});
}

TEST_CASE("eval confusion: by the LVIS protocol only what was searched for is invented", "[eval][golden]") {
  Scene scene;
  const auto not_found = [&scene](const std::vector<int64_t>& negative, const std::vector<int64_t>& partial) {
    scene.gt["images"][0]["neg_category_ids"] = negative;
    scene.gt["images"][0]["not_exhaustive_category_ids"] = partial;
    EvalConfig config = confusion_config(IouType::kBbox);
    config.protocol = Protocol::kLvis;
    config.max_dets = {300};
    const Confusion confusion = confuse_files(scene, config);
    return std::vector<int64_t>{confusion.at(confusion.nothing(), 0), confusion.at(confusion.nothing(), 1)};
  };
  scene.gt["categories"].push_back({{"id", 2}, {"name", "two"}});
  for (json& category : scene.gt["categories"]) category["frequency"] = "f";
  scene.add_image(1);
  scene.add_truth(1, kA);
  scene.add_result(1, kNowhere, .9);
  scene.add_result(1, kNowhere, .8, 2);
  REQUIRE(not_found({}, {}) == std::vector<int64_t>{1, 0});
  REQUIRE(not_found({2}, {}) == std::vector<int64_t>{1, 1});
  REQUIRE(not_found({2}, {1}) == std::vector<int64_t>{0, 1});
}

TEST_CASE("eval confusion: an annotation is in one cell of its row, a detection in one of its column",
          "[eval][property]") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Scene scene;
    iuq::test::fill_randomly(seed, scene);
    scene.gt["annotations"].erase(std::remove_if(scene.gt["annotations"].begin(), scene.gt["annotations"].end(),
                                                 [](const json& a) { return a["iscrowd"] == 1; }),
                                  scene.gt["annotations"].end());
    for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
      CAPTURE(seed, name_of(type));
      const Confusion confusion = confuse_files(scene, confusion_config(type));
      for (size_t k = 0; k < confusion.nothing(); ++k) {
        const int64_t id = confusion.names[k].id;
        int64_t row = 0, column = 0;
        for (size_t other = 0; other <= confusion.nothing(); ++other) {
          row += confusion.at(k, other);
          column += confusion.at(other, k);
        }
        REQUIRE(row == std::count_if(scene.gt["annotations"].begin(), scene.gt["annotations"].end(),
                                     [&](const json& a) { return a["category_id"] == id; }));
        REQUIRE(column == std::count_if(scene.dt.begin(), scene.dt.end(), [&](const json& d) {
                  return d["category_id"] == id && d["score"].get<double>() >= .3;
                }));
      }
      REQUIRE(confusion.at(confusion.nothing(), confusion.nothing()) == 0);
    }
  }
}

TEST_CASE("eval confusion: pooled categories make one row", "[eval][property]") {
  EvalConfig config = confusion_config(IouType::kBbox);
  config.use_categories = false;
  Scene scene;
  put_everything_once(scene);
  const Confusion confusion = confuse_files(scene, config);
  REQUIRE(confusion.counts == std::vector<int64_t>{2, 1, 1, 0});
}

TEST_CASE("eval confusion: the number of threads changes nothing", "[eval][property]") {
  Scene scene;
  iuq::test::fill_randomly(3, scene, 200);
  for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
    const Confusion one = confuse_files(scene, confusion_config(type, 1));
    REQUIRE(one.counts == confuse_files(scene, confusion_config(type, 4)).counts);
    REQUIRE(one.at(0, 1) > 0);
  }
}

TEST_CASE("eval confusion: what makes no sense is refused", "[eval][error]") {
  Scene scene;
  put_everything_once(scene);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto code_of = [&](IouType type, double iou, double min_score) {
    try {
      confuse_files(scene, confusion_config(type), iou, min_score);
    } catch (const iuq::Error& e) {
      return e.code();
    }
    return iuq::ErrorCode::kInternal;
  };
  REQUIRE(code_of(IouType::kBbox, 0, .3) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(IouType::kBbox, 1.01, .3) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(IouType::kBbox, nan, .3) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(IouType::kBbox, .5, nan) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(IouType::kBoundary, .5, .3) == iuq::ErrorCode::kUsage);
}

TEST_CASE("eval confusion: the table and the JSON, by hand", "[eval][golden]") {
  Scene scene;
  put_everything_once(scene);
  scene.gt["categories"][1]["name"] = "t\x1bwo";
  const Confusion confusion = confuse_scene(scene);
  REQUIRE(to_table(confusion) ==
          "confusion (bbox, IoU >= 0.5, score >= 0.3)\n"
          "right category 1, another category 1, missed 1, false positives 1\n"
          "     count  annotated -> detected\n"
          "         1  one -> t?wo\n");
  REQUIRE(to_table(confusion, 0).find("->  t") == std::string::npos);
  REQUIRE(to_json(confusion)["counts"] == json::parse(R"([{"truth": 1, "detected": 2, "count": 1},
                                                         {"truth": 1, "detected": null, "count": 1},
                                                         {"truth": 2, "detected": 2, "count": 1},
                                                         {"truth": null, "detected": 2, "count": 1}])"));
}
