#include "lib/eval/evaluate.h"


#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/eval/report.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::Rng;
using iuq::test::Scene;
using iuq::test::stat;

struct Plain {
  int64_t image;
  iuq::mask::Box box;
  double score;  // of results
  bool crowd;    // of truth
};

// AP at one threshold from the definition: greedy by score over everything, then for each of 101 recalls the best
// precision at that recall or beyond. Results must have different scores.
double plain_ap(const std::vector<Plain>& truth, std::vector<Plain> results, double threshold) {
  std::sort(results.begin(), results.end(), [](const Plain& a, const Plain& b) { return a.score > b.score; });
  std::vector<bool> taken(truth.size(), false);
  double total = 0, hits = 0, misses = 0;
  for (const Plain& t : truth) total += !t.crowd;
  std::vector<std::pair<double, double>> points;  // recall, precision
  for (const Plain& r : results) {
    int best = -1;
    for (const bool crowd : {false, true}) {
      double best_iou = threshold;
      for (size_t i = 0; i < truth.size(); ++i) {
        if (truth[i].image != r.image || truth[i].crowd != crowd || (taken[i] && !crowd)) continue;
        const double iou = iuq::mask::iou(r.box, truth[i].box, crowd);
        if (iou >= best_iou) best_iou = iou, best = int(i);
      }
      if (best >= 0) break;
    }
    if (best >= 0) taken[size_t(best)] = true;
    if (best >= 0 && truth[size_t(best)].crowd) continue;
    (best >= 0 ? hits : misses) += 1;
    points.emplace_back(hits / total, hits / (hits + misses));
  }
  double sum = 0;
  for (int i = 0; i <= 100; ++i) {
    double best = 0;
    for (const auto& [recall, precision] : points) {
      if (recall >= recall_thresholds()[size_t(i)]) best = std::max(best, precision);
    }
    sum += best;
  }
  return sum / 101;
}

void random_scene(uint64_t seed, Scene& scene, std::vector<Plain>& truth, std::vector<Plain>& results) {
  Rng rng(seed, "eval-scene");
  const auto box = [&rng] {
    return iuq::mask::Box{double(rng.below(60)), double(rng.below(60)), double(2 + rng.below(30)), double(2 + rng.below(30))};
  };
  for (int64_t image = 1; image <= 4; ++image) scene.add_image(image);
  for (int i = 0; i < 20; ++i) {
    truth.push_back({1 + rng.below(4), box(), 0, rng.below(6) == 0});
    scene.add_truth(truth.back().image, truth.back().box, truth.back().crowd);
    for (int64_t j = rng.below(4); j-- > 0;) {
      Plain result = truth.back();
      for (double& v : result.box) v += double(rng.below(5));
      if (rng.below(4) == 0) result.box = box();
      result.score = rng.uniform();
      results.push_back(result);
      scene.add_result(result.image, result.box, result.score);
    }
  }
}

}  // namespace

TEST_CASE("eval: AP of boxes agrees with the definition computed by plain loops", "[eval][property]") {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Scene scene;
    std::vector<Plain> truth, results;
    random_scene(seed, scene, truth, results);
    const Summary summary = scene.evaluate(IouType::kBbox);
    double mean = 0;
    for (const double t : iou_thresholds()) mean += plain_ap(truth, results, t) / double(iou_thresholds().size());
    REQUIRE(stat(summary, "AP") == Approx(mean).epsilon(1e-12));
    REQUIRE(stat(summary, "AP50") == Approx(plain_ap(truth, results, .5)).epsilon(1e-12));
    REQUIRE(stat(summary, "AP75") == Approx(plain_ap(truth, results, .75)).epsilon(1e-12));
  }
}

TEST_CASE("eval: a hit, a miss and a hit on two objects, by hand", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, {10, 10, 10, 10});
  scene.add_truth(1, {50, 50, 10, 10});
  scene.add_result(1, {10, 10, 10, 10}, .9);
  scene.add_result(1, {80, 10, 10, 10}, .8);
  scene.add_result(1, {50, 50, 10, 10}, .7);
  for (const IouType type : {IouType::kBbox, IouType::kSegm}) {
    const Summary summary = scene.evaluate(type);
    REQUIRE(stat(summary, "AP") == Approx((51 + 50 * 2. / 3) / 101).epsilon(1e-12));
    REQUIRE(stat(summary, "APs") == stat(summary, "AP"));
    REQUIRE(stat(summary, "APm") == -1);
    REQUIRE(stat(summary, "AR1") == .5);
    REQUIRE(stat(summary, "AR10") == 1);
    REQUIRE(summary.empty_areas == std::vector<std::string>{"medium", "large"});
    REQUIRE(summary.categories.at(0).annotations == 2);
  }
}

TEST_CASE("eval: nothing found is 0, nothing to find is -1", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, {10, 10, 10, 10});
  REQUIRE(stat(scene.evaluate(IouType::kSegm), "AP") == 0);
  scene.gt["annotations"].clear();
  scene.add_result(1, {10, 10, 10, 10}, .9);
  REQUIRE(stat(scene.evaluate(IouType::kSegm), "AP") == -1);
}

TEST_CASE("eval: the number of threads changes no bit", "[eval][property]") {
  Scene scene;
  std::vector<Plain> truth, results;
  random_scene(99, scene, truth, results);
  const auto run = [&](int threads) {
    EvalConfig config;
    config.iou_types = {IouType::kSegm, IouType::kBbox};
    config.threads = threads;
    std::vector<std::vector<double>> arrays;
    const auto summaries = evaluate(scene.gt_path(), scene.dt_path(), config, [&](const EvalInput&, const MatchTable&, const Curves& curves) {
      arrays.insert(arrays.end(), {curves.precision, curves.recall, curves.scores});
    });
    return std::make_pair(to_json(config, summaries), arrays);
  };
  const auto one = run(1);
  REQUIRE(one.second.size() == 6);
  REQUIRE(run(5) == one);
}

TEST_CASE("eval: without a cut of 100, at which the reference asks for AP, it is that of the largest cut", "[eval][golden]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, {10, 10, 10, 10});
  scene.add_result(1, {10, 10, 10, 10}, .9);
  EvalConfig config;
  config.max_dets = {2, 5, 7};
  const auto report = to_json(config, evaluate(scene.gt_path(), scene.dt_path(), config));
  REQUIRE(report["stats"]["AP"].get<double>() == Approx(1));
  REQUIRE(report["stats"]["AR7"] == 1);
  REQUIRE(report["ap_at_largest_cut"].get<double>() == Approx(1));
}

TEST_CASE("eval: means are summed as numpy sums", "[eval][golden]") {
  // numpy 1.24.2 to 2.2.6: np.mean(1.0 / np.arange(1, n + 1)). Adding one after the other is off in the last digit from
  // n = 1000 on; numpy 2.3 no longer sums in blocks of 8192 and gives ..663 for n = 20000.
  const auto mean = [](int n) {
    std::vector<double> values;
    for (int i = 1; i <= n; ++i) values.push_back(1. / i);
    return numpy_mean(values);
  };
  REQUIRE(mean(7) == 0.37040816326530607);
  REQUIRE(mean(100) == 0.05187377517639621);
  REQUIRE(mean(1000) == 0.007485470860550345);
  REQUIRE(mean(20000) == 0.0005240364108614665);
  REQUIRE(numpy_mean({}) == -1);
}

TEST_CASE("eval: thresholds are those of numpy's linspace", "[eval][golden]") {
  REQUIRE(iou_thresholds()[7] == 0.85);  // and not .5 + .05 * 7
  REQUIRE(iou_thresholds()[8] == 0.8999999999999999);
  REQUIRE(iou_thresholds()[9] == 0.95);
  REQUIRE(recall_thresholds()[35] == 35 * .01);
  REQUIRE(recall_thresholds()[35] != .35);
  REQUIRE(recall_thresholds()[100] == 1);
}

TEST_CASE("eval: LVIS counts results only where their category was looked for", "[eval][golden]") {
  Scene scene;
  scene.gt["categories"] = {{{"id", 1}, {"name", "a"}, {"frequency", "r"}}, {{"id", 2}, {"name", "b"}, {"frequency", "f"}}};
  for (int64_t id = 1; id <= 3; ++id) {
    scene.add_image(id);
    scene.gt["images"].back()["neg_category_ids"] = nlohmann::json::array();
    scene.gt["images"].back()["not_exhaustive_category_ids"] = nlohmann::json::array();
  }
  scene.add_truth(1, {10, 10, 10, 10});
  scene.add_result(1, {10, 10, 10, 10}, .5);
  scene.add_result(2, {10, 10, 10, 10}, .9);  // nobody looked for category 1 in image 2
  EvalConfig config;
  config.protocol = Protocol::kLvis;
  config.max_dets = {300};
  const auto ap = [&](const char* name) {
    return stat(evaluate(scene.gt_path(), scene.dt_path(), config).at(0), name);
  };
  REQUIRE(ap("AP") == Approx(1));
  REQUIRE(ap("APr") == Approx(1));
  REQUIRE(ap("APf") == -1);
  scene.gt["images"][1]["neg_category_ids"] = {1};  // now they did, and found none
  REQUIRE(ap("AP") == Approx(.5));
  scene.gt["images"][1]["not_exhaustive_category_ids"] = {1};  // but not thoroughly
  REQUIRE(ap("AP") == Approx(1));
}
