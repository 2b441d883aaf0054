// Annotations that the reference dies of, or takes without a word, and results that can never match.
#include "lib/base/error.h"
#include "lib/eval/evaluate.h"
#include "lib/eval/ground_truth.h"
#include "lib/eval/protocol.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/scene.h"

namespace {

using namespace iuq::eval;
using iuq::io::Fault;
using iuq::test::Scene;
using iuq::test::stat;
using nlohmann::json;

EvalConfig judging(std::vector<IouType> types, bool strict = false) {
  EvalConfig config;
  config.iou_types = std::move(types);
  config.strict = strict;
  return config;
}

struct FilledScene : Scene {
  explicit FilledScene(const json& id = 7) {
    add_image(7);
    add_truth(7, {10, 10, 10, 10});
    add_truth(7, {30, 30, 10, 10});
    add_result(7, {10, 10, 10, 10}, .9);
    add_result(7, {30, 30, 10, 10}, .8);
    for (json& image : gt["images"]) image["id"] = id;
    for (json& annotation : gt["annotations"]) annotation["image_id"] = id;
    for (json& result : dt) result["image_id"] = id;
  }
};

bool refuses(const Scene& scene, const EvalConfig& config) {
  try {
    evaluate(scene.gt_path(), scene.dt_path(), config);
  } catch (const iuq::Error& e) {
    return e.code() == iuq::ErrorCode::kBadData;
  }
  return false;
}

double ap_of(const Scene& scene, IouType type) { return stat(scene.evaluate(type), "AP"); }

}  // namespace

TEST_CASE("eval: iscrowd, area and box that are missing are made up for, counted, and refused when strict", "[eval][property]") {
  const std::vector<std::pair<const char*, Fault>> keys = {
      {"iscrowd", Fault::kNoCrowd}, {"area", Fault::kNoArea}, {"bbox", Fault::kNoBox}};
  for (const auto& [key, fault] : keys) {
    for (const bool null : {false, true}) {
      CAPTURE(key, null);
      FilledScene scene;
      json& record = scene.gt["annotations"][1];
      null ? void(record[key] = nullptr) : void(record.erase(key));
      for (const IouType type : {IouType::kSegm, IouType::kBbox}) CHECK(ap_of(scene, type) == Approx(1));
      const EvalConfig both = judging({IouType::kSegm, IouType::kBbox});
      const GroundTruth truth = load_ground_truth(scene.gt_path(), both);
      CHECK(truth.faults.of(fault).count == 1);
      CHECK(truth.annotations[1].area == 100);
      CHECK(truth.annotations[1].box == iuq::mask::Box{30, 30, 10, 10});
      CHECK(refuses(scene, judging({IouType::kSegm, IouType::kBbox}, true)));
    }
  }
}

TEST_CASE("eval: an annotation without a mask counts for boxes alone", "[eval][property]") {
  for (const json& nothing : {json::array(), json(nullptr), json::array({json::array()}), json::object()}) {
    CAPTURE(nothing);
    FilledScene scene;
    scene.gt["annotations"][1]["segmentation"] = nothing;
    scene.dt.erase(0);  // what is left matches the annotation without a mask
    CHECK(ap_of(scene, IouType::kBbox) == Approx(51. / 101));
    CHECK(ap_of(scene, IouType::kSegm) == 0);
    const auto both = evaluate(scene.gt_path(), scene.dt_path(), judging({IouType::kSegm, IouType::kBbox}));
    CHECK(stat(both[0], "AP") == 0);
    CHECK(both[0].categories[0].annotations == 1);
    CHECK(stat(both[1], "AP") == Approx(51. / 101));
    CHECK(both[1].categories[0].annotations == 2);
    CHECK(refuses(scene, judging({IouType::kSegm}, true)));
  }
}

TEST_CASE("eval: parts of two points cover nothing, first or last", "[eval][property]") {
  const json square = {30, 30, 40, 30, 40, 40, 30, 40};
  for (const json& parts : {json{square, {1, 2}}, json{square, {1, 2, 3, 4}}, json{{1, 2}, square}, json{json::array(), square}}) {
    CAPTURE(parts);
    FilledScene scene;
    scene.gt["annotations"][1]["segmentation"] = parts;
    CHECK(ap_of(scene, IouType::kSegm) == Approx(1));
    CHECK(load_ground_truth(scene.gt_path(), judging({IouType::kSegm})).faults.of(Fault::kThinPart).count == 1);
    CHECK(refuses(scene, judging({IouType::kSegm}, true)));
  }
}

TEST_CASE("eval: ids of images may be strings, which are not numbers", "[eval][property]") {
  for (const char* id : {"img1", "7", "caf\u00e9 1"}) {
    const FilledScene scene(id);
    CHECK(ap_of(scene, IouType::kBbox) == Approx(1));
    CHECK_FALSE(refuses(scene, judging({IouType::kBbox}, true)));
  }
  FilledScene scene("7");
  scene.dt[0]["image_id"] = 7;
  CHECK(refuses(scene, judging({IouType::kBbox})));
}

TEST_CASE("eval: without a cut of 100 AP is that of the largest cut", "[eval][property]") {
  Scene scene;
  scene.add_image(7);
  for (int i = 0; i < 9; ++i) {
    scene.add_truth(7, {10. * i, 10, 10, 10});
    scene.add_result(7, {10. * i, 10, 10, 10}, .9);
  }
  EvalConfig config = judging({IouType::kBbox});
  config.max_dets = {1, 2, 9};
  const Summary summary = evaluate(scene.gt_path(), scene.dt_path(), config).at(0);
  CHECK(stat(summary, "AP") == Approx(1));
  CHECK(summary.stats[0].label.find("maxDets=  9") != std::string::npos);
  config.max_dets = {1, 2, 3};
  CHECK(stat(evaluate(scene.gt_path(), scene.dt_path(), config).at(0), "AP") == Approx(34. / 101));
}

TEST_CASE("eval: masks of another size and categories that are not listed are refused when strict", "[eval][error]") {
  const FilledScene scene;
  CHECK_FALSE(refuses(scene, judging({IouType::kBbox}, true)));
  FilledScene unlisted;
  for (json& result : unlisted.dt) result["category_id"] = 0;
  CHECK(refuses(unlisted, judging({IouType::kBbox}, true)));
  CHECK_FALSE(refuses(unlisted, judging({IouType::kBbox})));
  FilledScene small;
  for (json& result : small.dt) result["segmentation"] = {{"size", {50, 100}}, {"counts", {4000, 1000}}};
  CHECK(refuses(small, judging({IouType::kSegm}, true)));
  CHECK(ap_of(small, IouType::kSegm) == 0);
}

TEST_CASE("eval: a file says whether it is LVIS", "[eval][property]") {
  FilledScene scene;
  CHECK(protocol_of(scene.gt_path()) == Protocol::kCoco);
  scene.gt["images"][0]["neg_category_ids"] = scene.gt["images"][0]["not_exhaustive_category_ids"] = json::array();
  CHECK(protocol_of(scene.gt_path()) == Protocol::kCoco);
  scene.gt["categories"][0]["frequency"] = "r";
  CHECK(protocol_of(scene.gt_path()) == Protocol::kLvis);
  CHECK(protocol_of(scene.dt_path()) == Protocol::kCoco);
  CHECK(protocol_of("-") == Protocol::kCoco);
}
