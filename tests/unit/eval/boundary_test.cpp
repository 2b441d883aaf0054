#include <cmath>

#include "lib/eval/evaluate.h"
#include "lib/io/json_file.h"
#include "lib/mask/rle.h"
#include "tests/support/catch.h"
#include "tests/unit/eval/scene.h"

using namespace iuq::eval;
using nlohmann::json;

namespace {

const std::string kBoundaryCase = std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/eval/boundary/";

}  // namespace

TEST_CASE("eval: boundary AP is that of the reference, at several widths and threads", "[eval][golden]") {
  const json expected = iuq::io::read_json(kBoundaryCase + "expected.json");
  REQUIRE(expected["ratios"].size() == 3);
  for (const auto& [ratio, stats] : expected["ratios"].items()) {
    for (const int threads : {1, 3}) {
      EvalConfig config;
      config.iou_types = {IouType::kBoundary};
      config.boundary_ratio = std::stod(ratio);
      config.threads = threads;
      const Summary summary = evaluate(kBoundaryCase + "gt.json", kBoundaryCase + "dt.json", config).at(0);
      REQUIRE(stats.size() == 12);
      for (const auto& [name, value] : stats.items()) {
        CAPTURE(ratio, threads, name);
        CHECK(iuq::test::stat(summary, name) == Approx(value.get<double>()).margin(1e-12));
      }
    }
  }
}

TEST_CASE("eval: boundaries have the area that OpenCV's erosion leaves them", "[eval][golden]") {
  const json expected = iuq::io::read_json(kBoundaryCase + "expected.json");
  const json truth = iuq::io::read_json(kBoundaryCase + "gt.json");
  REQUIRE(truth["annotations"].size() == expected["boundary areas"].size());
  size_t i = 0;
  for (const json& annotation : truth["annotations"]) {
    const json& mask = annotation["segmentation"];
    const int64_t height = mask["size"][0], width = mask["size"][1];
    const auto text = mask["counts"].get<std::string>();
    const double diagonal = std::sqrt(static_cast<double>(height * height + width * width));
    const iuq::mask::Rle rle = iuq::mask::from_string(text, height, width);
    CAPTURE(annotation["id"].get<int>());
    CHECK(area(boundary(rle, static_cast<uint32_t>(std::lround(.02 * diagonal)))) ==
          expected["boundary areas"][i++].get<uint32_t>());
  }
}
