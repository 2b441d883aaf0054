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
