#include <nlohmann/json.hpp>

#include "lib/model/segmenter.h"
#include "tests/unit/model/grid_parity.h"

// The numbers come from the authors' SOTR itself: scripts/gen_fixtures_sotr.py, whose header defines the formulas.

namespace {

using namespace iuq;
using namespace iuq::model;
using namespace iuq::test;

}  // namespace

TEST_CASE("sotr: a small network gives the reference's numbers at every stage, and its gradients", "[model][golden]") {
  check_network("sotr_r18.json");
}

TEST_CASE("sotr: ResNet-50 at its published size gives the reference's numbers", "[model][golden]") {
  check_network("sotr_r50.json");
}

TEST_CASE("sotr: as many parameters as the reference", "[model][golden]") {
  const auto parameters = [](const char* backbone) {
    const auto segmenter = make_segmenter({{"name", "sotr"}, {"backbone", {{"name", backbone}}}}, 80, 0);
    int64_t count = 0;
    for (const auto& item : segmenter->named_parameters()) count += item.value().numel();
    // Norms of frozen backbones are buffers here and there; models.md counts their weight and bias.
    for (const auto& item : segmenter->named_buffers()) {
      const std::string& name = item.key();
      if (name.ends_with(".weight") || name.ends_with(".bias")) count += item.value().numel();
    }
    return count;
  };
  CHECK(parameters("resnet50") == 63217344);
  CHECK(parameters("resnet101") == 82209472);
}
