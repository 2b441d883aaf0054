#include "lib/eval/compare.h"

#include <numeric>

#include "lib/base/error.h"
#include "lib/eval/resample.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/random_scene.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::test::Scene;
using iuq::test::stat;
using nlohmann::json;

EvalConfig config_of(std::vector<IouType> types, int threads = 1) {
  EvalConfig config;
  config.iou_types = std::move(types);
  config.threads = threads;
  return config;
}

const ComparedStat& stat_of(const Comparison& comparison, const std::string& name) {
  for (const ComparedStat& s : comparison.types.at(0).stats) {
    if (s.name == name) return s;
  }
  throw std::out_of_range(name);
}

// What RankedMatches says of a scene with these weights by image.
StatValues weighted(const Scene& scene, IouType type, const std::vector<uint32_t>& weights) {
  StatValues out{};
  const EvalVisitor visit = [&](const EvalInput& input, const MatchTable& table, const Curves&) {
    RankedMatches::Scratch scratch;
    out = RankedMatches(input, table).stats(weights, scratch);
  };
  evaluate(scene.gt_path(), scene.dt_path(), config_of({type}), visit);
  return out;
}

// Makes `out` the scene with image i of it weights[i] times.
void copy(const Scene& scene, const std::vector<uint32_t>& weights, Scene& out) {
  out.gt["categories"] = scene.gt["categories"];
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t image = scene.gt["images"][i]["id"];
    for (uint32_t copy = 0; copy < weights[i]; ++copy) {
      const int64_t id = image * 100 + copy;
      out.add_image(id);
      for (json annotation : scene.gt["annotations"]) {
        if (annotation["image_id"] != image) continue;
        annotation["image_id"] = id;
        annotation["id"] = out.gt["annotations"].size() + 1;
        out.gt["annotations"].push_back(annotation);
      }
      for (json result : scene.dt) {
        if (result["image_id"] != image) continue;
        result["image_id"] = id;
        out.dt.push_back(result);
      }
    }
  }
}

void require_same(const StatValues& values, const Summary& summary) {
  for (size_t s = 0; s < values.size(); ++s) {
    CAPTURE(kComparedStats[s]);
    REQUIRE(values[s] == Approx(stat(summary, kComparedStats[s])).margin(1e-12));
  }
}

constexpr iuq::mask::Box kSame = {10, 10, 20, 20};

}  // namespace

TEST_CASE("eval compare: a list differs from itself by nothing, in no resample", "[eval][property]") {
  Scene scene;
  iuq::test::fill_randomly(1, scene, 12);
  const Comparison comparison =
      compare(scene.gt_path(), scene.dt_path(), scene.dt_path(), config_of({IouType::kBbox, IouType::kSegm}), 50, 3);
  REQUIRE(comparison.types.size() == 2);
  REQUIRE(comparison.images == 12);
  for (const ComparedType& compared : comparison.types) {
    for (const ComparedStat& s : compared.stats) {
      CAPTURE(s.name);
      REQUIRE(s.first == s.second);
      REQUIRE(s.difference == 0);
      REQUIRE((s.low == 0 && s.high == 0));
      REQUIRE(s.not_better == 1);
    }
  }
}

TEST_CASE("eval compare: with every image once the numbers are those of evaluate", "[eval][property]") {
  for (uint64_t seed = 0; seed < 15; ++seed) {
    Scene scene;
    iuq::test::fill_randomly(seed, scene);
    for (const IouType type : {IouType::kBbox, IouType::kSegm, IouType::kBoundary}) {
      CAPTURE(seed, name_of(type));
      require_same(weighted(scene, type, std::vector<uint32_t>(6, 1)), scene.evaluate(type));
    }
  }
}

TEST_CASE("eval compare: an image counted several times is as if it were there so often", "[eval][property]") {
  for (uint64_t seed = 0; seed < 15; ++seed) {
    CAPTURE(seed);
    Scene scene;
    iuq::test::fill_randomly(seed, scene);
    iuq::Rng rng(seed, "weights");
    std::vector<uint32_t> weights(6);
    for (uint32_t& weight : weights) weight = static_cast<uint32_t>(rng.below(4));
    weights[rng.below(6)] = 1;
    Scene copies;
    copy(scene, weights, copies);
    require_same(weighted(scene, IouType::kBbox, weights), copies.evaluate(IouType::kBbox));
  }
}

TEST_CASE("eval compare: the LVIS numbers are those of evaluate", "[eval][golden]") {
  const std::string folder = std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/eval/";
  EvalConfig config = config_of({IouType::kBbox});
  config.protocol = Protocol::kLvis;
  config.max_dets = {300};
  const Summary summary = evaluate(folder + "gt_lvis.json", folder + "dt.json", config).at(0);
  const Comparison comparison = compare(folder + "gt_lvis.json", folder + "dt.json", folder + "dt.json", config, 20, 0);
  for (const ComparedStat& s : comparison.types.at(0).stats) {
    CAPTURE(s.name);
    REQUIRE(s.first == Approx(stat(summary, s.name)).margin(1e-12));
  }
  REQUIRE(stat_of(comparison, "AP").first > 0);
}

TEST_CASE("eval compare: one image out of two that is found, by hand", "[eval][golden]") {
  Scene scene, better;
  for (const int64_t image : {1, 2}) {
    scene.add_image(image);
    scene.add_truth(image, kSame);
  }
  scene.add_result(1, {70, 70, 9, 9}, .5);
  better.add_result(1, kSame, .5);
  const Comparison comparison =
      compare(scene.gt_path(), scene.dt_path(), better.dt_path(), config_of({IouType::kBbox}), 4000, 11);
  const ComparedStat& ap = stat_of(comparison, "AP");
  REQUIRE(ap.first == 0);
  REQUIRE(ap.second == Approx(51. / 101));
  REQUIRE(ap.difference == Approx(51. / 101));
  REQUIRE(ap.low == 0);            // the second image twice: a quarter of the draws
  REQUIRE(ap.high == Approx(1));   // the first twice: likewise
  REQUIRE(ap.not_better == Approx(.25).margin(.03));
  REQUIRE(ap.resamples == 4000);
  const ComparedStat& large = stat_of(comparison, "APl");
  REQUIRE((large.first == -1 && large.resamples == 0));
}

TEST_CASE("eval compare: of a size that few images have only the draws with it count", "[eval][golden]") {
  Scene scene, better;
  for (const int64_t image : {1, 2}) scene.add_image(image);
  scene.add_truth(1, kSame);
  scene.add_truth(2, {10, 10, 60, 60});
  better.add_result(2, {10, 10, 60, 60}, .5);
  scene.add_result(1, kSame, .5);
  const ComparedStat medium =
      stat_of(compare(scene.gt_path(), scene.dt_path(), better.dt_path(), config_of({IouType::kBbox}), 400, 1), "APm");
  REQUIRE(medium.resamples == Approx(300).margin(35));
  REQUIRE((medium.low == Approx(1) && medium.high == Approx(1) && medium.not_better == 0));
}

TEST_CASE("eval compare: the number of threads changes no bit, the seed does", "[eval][property]") {
  Scene scene, other;
  iuq::test::fill_randomly(4, scene, 30);
  other.gt = scene.gt;
  other.dt = scene.dt;
  iuq::Rng rng(4, "scores");
  for (json& result : other.dt) result["score"] = rng.uniform();
  const auto run = [&](int threads, uint64_t seed) {
    return to_json(compare(scene.gt_path(), scene.dt_path(), other.dt_path(),
                           config_of({IouType::kBbox, IouType::kSegm}, threads), 100, seed));
  };
  const json one = run(1, 9);
  REQUIRE(one == run(4, 9));
  REQUIRE(one["types"] != run(1, 10)["types"]);
}

TEST_CASE("eval compare: as many images are drawn as there are, only those at hand", "[eval][property]") {
  const std::vector<uint32_t> at_hand = {1, 2, 5, 7};
  std::vector<uint32_t> sums(9, 0);
  for (uint64_t number = 0; number < 500; ++number) {
    const auto weights = draw_images(at_hand, 9, 1, number);
    REQUIRE(std::accumulate(weights.begin(), weights.end(), 0u) == 4);
    for (size_t i = 0; i < 9; ++i) sums[i] += weights[i];
  }
  for (size_t i = 0; i < 9; ++i) {
    const bool drawn = std::find(at_hand.begin(), at_hand.end(), i) != at_hand.end();
    REQUIRE(sums[i] == Approx(drawn ? 500 : 0).margin(drawn ? 80 : 0));
  }
  REQUIRE(draw_images(at_hand, 9, 1, 3) == draw_images(at_hand, 9, 1, 3));
}

TEST_CASE("eval compare: images that are not asked for are not drawn", "[eval][golden]") {
  Scene scene, better;
  for (const int64_t image : {1, 2}) {
    scene.add_image(image);
    scene.add_truth(image, kSame);
  }
  scene.add_result(2, kSame, .5);
  better.add_result(1, kSame, .5);
  EvalConfig config = config_of({IouType::kBbox});
  config.image_ids = {1};
  const Comparison comparison = compare(scene.gt_path(), scene.dt_path(), better.dt_path(), config, 30, 0);
  REQUIRE(comparison.images == 1);
  REQUIRE(stat_of(comparison, "AP").low == Approx(1));
  REQUIRE(stat_of(comparison, "AP").not_better == 0);
}

TEST_CASE("eval compare: what makes no sense is refused", "[eval][error]") {
  Scene scene;
  scene.add_image(1);
  scene.add_truth(1, kSame);
  const std::string gt = scene.gt_path(), dt = scene.dt_path();
  const auto code_of = [&](const std::string& annotations, const std::string& second, int resamples) {
    try {
      compare(annotations, dt, second, config_of({IouType::kBbox}), resamples, 0);
    } catch (const iuq::Error& e) {
      return e.code();
    }
    return iuq::ErrorCode::kInternal;
  };
  REQUIRE(code_of(gt, dt, 0) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(gt, dt, 10'000'001) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of("-", "-", 5) == iuq::ErrorCode::kUsage);
  REQUIRE(code_of(gt, dt + ".missing", 5) == iuq::ErrorCode::kNoInput);
}

TEST_CASE("eval compare: the table and the JSON, by hand", "[eval][golden]") {
  Scene scene, better;
  scene.add_image(1);
  scene.add_truth(1, kSame);
  scene.add_result(1, {70, 70, 9, 9}, .5);
  better.add_result(1, kSame, .5);
  const Comparison comparison =
      compare(scene.gt_path(), scene.dt_path(), better.dt_path(), config_of({IouType::kBbox}), 10, 2);
  REQUIRE(to_table(comparison) ==
          "paired bootstrap: 10 resamples of 1 images, seed 2\n"
          "IoU type: bbox\n"
          "          first  second  difference  95 % interval      not better\n"
          " AP        0.000   1.000      +1.000  +1.000 .. +1.000      0.0000\n"
          " AP50      0.000   1.000      +1.000  +1.000 .. +1.000      0.0000\n"
          " AP75      0.000   1.000      +1.000  +1.000 .. +1.000      0.0000\n"
          " APs       0.000   1.000      +1.000  +1.000 .. +1.000      0.0000\n"
          " APm      -1.000  -1.000           -\n"
          " APl      -1.000  -1.000           -\n");
  const json stats = to_json(comparison)["types"][0]["stats"];
  REQUIRE(stats[0]["not_better"] == 0);
  REQUIRE(stats[5] == json{{"name", "APl"}, {"first", -1.}, {"second", -1.}, {"difference", nullptr}, {"low", nullptr},
                           {"high", nullptr}, {"not_better", nullptr}, {"resamples", 0}});
}
