#include "lib/eval/errors.h"

#include "lib/base/error.h"
#include "lib/io/json_file.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/random_scene.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::test::Scene;
using iuq::test::stat;
using nlohmann::json;

struct Broken {
  ErrorBreakdown errors;
  Summary summary;
};

Broken break_down(const std::string& gt, const std::string& dt, const EvalConfig& config) {
  Broken out;
  const EvalVisitor visit = [&](const EvalInput& input, const MatchTable&, const Curves&) {
    out.errors = break_down_errors(input);
  };
  out.summary = evaluate(gt, dt, config, visit).at(0);
  return out;
}

EvalConfig errors_config(IouType type, int threads = 1) {
  EvalConfig config;
  config.iou_types = {type};
  config.threads = threads;
  return config;
}

ErrorBreakdown break_down(const Scene& scene, IouType type = IouType::kBbox, int threads = 1) {
  return break_down(scene.gt_path(), scene.dt_path(), errors_config(type, threads)).errors;
}

const ErrorShare& share(const ErrorBreakdown& breakdown, const std::string& name) {
  for (const ErrorShare& error : breakdown.errors) {
    if (error.name == name) return error;
  }
  throw std::out_of_range(name);
}

// Counts of classification, localisation, both, duplicate, background, missed, false positives, false negatives.
std::vector<int64_t> counts(const ErrorBreakdown& breakdown) {
  std::vector<int64_t> out;
  for (const ErrorShare& error : breakdown.errors) out.push_back(error.count);
  out.push_back(breakdown.false_positives.count);
  out.push_back(breakdown.false_negatives.count);
  return out;
}

void start_with_cat_and_dog(Scene& scene) {
  scene.gt["categories"].push_back({{"id", 2}, {"name", "two"}});
  scene.add_image(1);
}

constexpr iuq::mask::Box kLeft = {10, 10, 20, 20}, kFar = {60, 60, 20, 20}, kBelow = {10, 60, 20, 20};
constexpr iuq::mask::Box kEmptyPlace = {70, 5, 20, 20};
constexpr double kHalf = 51. / 101;  // the recalls up to one half

}  // namespace

TEST_CASE("eval errors: the right place under the wrong category, by hand", "[eval][golden]") {
  Scene scene;
  start_with_cat_and_dog(scene);
  scene.add_truth(1, kLeft);
  scene.add_truth(1, kFar, false, 2);
  scene.add_result(1, kLeft, .9, 2);
  scene.add_result(1, kFar, .8, 2);
  for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
    const ErrorBreakdown errors = break_down(scene, type);
    REQUIRE(errors.ap50 == Approx(.25));  // 0 and 1/2
    REQUIRE(counts(errors) == std::vector<int64_t>{1, 0, 0, 0, 0, 0, 1, 1});
    REQUIRE(share(errors, "classification").gain == Approx(.75));  // both categories are found without a mistake
    REQUIRE(share(errors, "missed").gain == 0);                    // the annotation is not missed but misnamed
    REQUIRE(errors.false_positives.gain == Approx(.25));
    REQUIRE(errors.false_negatives.gain == Approx(.25));  // the first category is out, the second stays at 1/2
  }
}

TEST_CASE("eval errors: the better of two misplaced detections becomes the hit, the other vanishes", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_result(1, {10, 10, 20, 7}, .8);  // IoU .35
  scene.add_result(1, {10, 10, 20, 8}, .9);  // IoU .4
  const ErrorBreakdown errors = break_down(scene);
  REQUIRE(errors.ap50 == 0);
  REQUIRE(counts(errors) == std::vector<int64_t>{0, 2, 0, 0, 0, 0, 2, 1});
  REQUIRE(share(errors, "localisation").gain == Approx(1));
  REQUIRE(errors.false_negatives.gain == 0);  // detections are left that find nothing
}

TEST_CASE("eval errors: the bounds of a misplaced detection belong to it", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_result(1, kLeft, .9);
  scene.add_result(1, {10, 10, 20, 2}, .8);   // IoU .1
  scene.add_result(1, {10, 10, 20, 10}, .7);  // IoU .5, would be a hit
  scene.add_result(1, {10, 10, 20, 1}, .6);   // IoU .05
  REQUIRE(counts(break_down(scene)) == std::vector<int64_t>{0, 2, 0, 0, 1, 0, 3, 0});
}

TEST_CASE("eval errors: a second detection of the same object, by hand", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_truth(1, kFar);
  scene.add_result(1, kLeft, .9);
  scene.add_result(1, {10, 10, 20, 19}, .8);
  scene.add_result(1, kFar, .7);
  const ErrorBreakdown errors = break_down(scene);
  REQUIRE(errors.ap50 == Approx((51 + 50 * 2. / 3) / 101));
  REQUIRE(counts(errors) == std::vector<int64_t>{0, 0, 0, 1, 0, 0, 1, 0});
  REQUIRE(share(errors, "duplicate").gain == Approx(1 - (51 + 50 * 2. / 3) / 101));
  REQUIRE(share(errors, "background").gain == 0);
}

TEST_CASE("eval errors: background, both and missed, by hand", "[eval][golden]") {
  Scene scene;
  start_with_cat_and_dog(scene);
  scene.add_truth(1, kLeft);
  scene.add_truth(1, kBelow);
  scene.add_truth(1, kFar, false, 2);
  scene.add_result(1, kEmptyPlace, .9);
  scene.add_result(1, kLeft, .8);
  scene.add_result(1, {10, 10, 20, 8}, .9, 2);  // of the other category, IoU .4
  scene.add_result(1, kFar, .8, 2);
  const ErrorBreakdown errors = break_down(scene);
  REQUIRE(errors.ap50 == Approx((kHalf / 2 + .5) / 2));
  REQUIRE(counts(errors) == std::vector<int64_t>{0, 0, 1, 0, 1, 1, 2, 1});
  REQUIRE(share(errors, "both").gain == Approx(.25));
  REQUIRE(share(errors, "background").gain == Approx(kHalf / 4));
  REQUIRE(share(errors, "missed").gain == Approx((.5 - kHalf / 2) / 2));
  REQUIRE(errors.false_positives.gain == Approx((kHalf + 1) / 2 - errors.ap50));
}

TEST_CASE("eval errors: what lies in a crowd is no error", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_truth(1, {40, 40, 60, 60}, true);
  scene.add_result(1, kLeft, .8);
  scene.add_result(1, {60, 60, 5, 5}, .9);
  const ErrorBreakdown errors = break_down(scene);
  REQUIRE(errors.ap50 == Approx(1));
  REQUIRE(counts(errors) == std::vector<int64_t>(8, 0));
}

TEST_CASE("eval errors: tidecv, given the recalls of the reference, says the same of random data", "[eval][golden]") {
  const std::string folder = std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/eval/tide/";
  const json expected = iuq::io::read_json(folder + "expected.json");
  const std::vector<std::pair<const char*, const char*>> names = {{"classification", "Cls"}, {"localisation", "Loc"},
                                                                  {"both", "Both"},          {"duplicate", "Dupe"},
                                                                  {"background", "Bkg"},     {"missed", "Miss"}};
  for (const char* number : {"1", "2", "3"}) {
    for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
      CAPTURE(number, name_of(type));
      const json& wanted = expected[std::string("case ") + number][name_of(type)];
      const ErrorBreakdown errors =
          break_down(folder + "gt" + number + ".json", folder + "dt" + number + ".json", errors_config(type, 2)).errors;
      CHECK(errors.ap50 == Approx(wanted["ap50"].get<double>()).margin(1e-9));
      for (const auto& [ours, theirs] : names) {
        CAPTURE(ours);
        CHECK(share(errors, ours).count == wanted["counts"][theirs].get<int64_t>());
        CHECK(share(errors, ours).gain == Approx(wanted["gains"][theirs].get<double>()).margin(1e-9));
      }
      CHECK(errors.false_positives.gain == Approx(wanted["special"]["FalsePos"].get<double>()).margin(1e-9));
      CHECK(errors.false_negatives.gain == Approx(wanted["special"]["FalseNeg"].get<double>()).margin(1e-9));
    }
  }
}

TEST_CASE("eval errors: AP50 is the summary's to the bit, false positives have one kind, no fix costs",
          "[eval][property]") {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Scene scene;
    iuq::test::fill_randomly(seed, scene);
    for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
      CAPTURE(seed, name_of(type));
      const auto [errors, summary] = break_down(scene.gt_path(), scene.dt_path(), errors_config(type));
      REQUIRE(errors.ap50 == stat(summary, "AP50"));
      const auto n = counts(errors);
      REQUIRE(n[0] + n[1] + n[2] + n[3] + n[4] == n[6]);
      REQUIRE(n[5] <= n[7]);
      for (const ErrorShare& error : errors.errors) {
        CAPTURE(error.name, error.gain);
        REQUIRE(error.gain >= 0);
        REQUIRE(errors.ap50 + error.gain <= 1 + 1e-12);
      }
      REQUIRE(errors.false_positives.gain >= 0);
      REQUIRE(errors.false_negatives.gain >= 0);
    }
  }
}

TEST_CASE("eval errors: pooled categories leave no error of classification", "[eval][property]") {
  Scene scene;
  iuq::test::fill_randomly(5, scene);
  EvalConfig config = errors_config(IouType::kBbox);
  config.use_categories = false;
  const auto [errors, summary] = break_down(scene.gt_path(), scene.dt_path(), config);
  REQUIRE(errors.ap50 == stat(summary, "AP50"));
  REQUIRE(share(errors, "classification").count == 0);
  REQUIRE(share(break_down(scene), "classification").count > 0);
}

TEST_CASE("eval errors: by the LVIS protocol, too", "[eval][golden]") {
  const std::string folder = std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/eval/";
  EvalConfig config = errors_config(IouType::kBbox);
  config.protocol = Protocol::kLvis;
  config.max_dets = {300};
  const auto [errors, summary] = break_down(folder + "gt_lvis.json", folder + "dt.json", config);
  REQUIRE(errors.ap50 == stat(summary, "AP50"));
}

TEST_CASE("eval errors: the number of threads changes no bit", "[eval][property]") {
  Scene scene;
  iuq::test::fill_randomly(7, scene, 60);
  for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
    REQUIRE(to_json(break_down(scene, type, 1)) == to_json(break_down(scene, type, 4)));
  }
}

TEST_CASE("eval errors: nothing annotated is undefined, and nothing can be gained", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_result(1, kLeft, .9);
  const ErrorBreakdown errors = break_down(scene);
  REQUIRE(errors.ap50 == -1);
  REQUIRE(share(errors, "background").count == 1);
  for (const ErrorShare& error : errors.errors) REQUIRE(error.gain == 0);
}

TEST_CASE("eval errors: boundary IoU is refused with the reason", "[eval][error]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_result(1, kLeft, .9);
  try {
    break_down(scene, IouType::kBoundary);
    FAIL("nothing was thrown");
  } catch (const iuq::Error& e) {
    REQUIRE(e.code() == iuq::ErrorCode::kUsage);
    REQUIRE(std::string(e.what()) == "the error breakdown is not offered for boundary IoU; ask for segm or bbox");
  }
}

TEST_CASE("eval errors: the table has a line for each kind", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kLeft);
  scene.add_result(1, kEmptyPlace, .9);
  scene.add_result(1, kLeft, .8);
  REQUIRE(to_table(break_down(scene)) ==
          "AP50 0.500 (bbox); what fixing one kind of error alone would add:\n"
          " classification            0  +0.000\n"
          " localisation              0  +0.000\n"
          " both                      0  +0.000\n"
          " duplicate                 0  +0.000\n"
          " background                1  +0.500\n"
          " missed                    0  +0.000\n"
          " false_positives           1  +0.500\n"
          " false_negatives           0  +0.000\n");
}
