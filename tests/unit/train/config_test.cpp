#include "lib/train/config.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/uniq/config.h"
#include "tests/support/catch.h"

using namespace iuq;
using namespace iuq::train;

TEST_CASE("train config: the learning rate warms up, then follows its schedule", "[train][golden]") {
  TrainConfig config;
  config.lr = 1;
  config.warmup = 100;
  config.warmup_factor = 0.1;
  config.milestones = {200, 300};
  REQUIRE(config.lr_at(0) == Approx(0.1));
  REQUIRE(config.lr_at(50) == Approx(0.55));
  REQUIRE(config.lr_at(100) == 1);
  REQUIRE(config.lr_at(199) == 1);
  REQUIRE(config.lr_at(200) == Approx(0.1));
  REQUIRE(config.lr_at(300) == Approx(0.01));
  config.schedule = "cosine";
  config.steps = 1000;
  REQUIRE(config.lr_at(500) == Approx(0.5));
  REQUIRE(config.lr_at(1000) == Approx(0).margin(1e-12));
}

TEST_CASE("train config: reading is the inverse of writing; ranges are checked", "[train][error]") {
  TrainConfig config;
  config.steps = 17;
  config.pairs = true;
  REQUIRE(nlohmann::json(nlohmann::json(config).get<TrainConfig>()) == nlohmann::json(config));
  const auto reads = [](const char* text) { return nlohmann::json::parse(text).get<TrainConfig>(); };
  REQUIRE_THROWS_AS(reads(R"({"steps": 0})"), Error);
  REQUIRE_THROWS_AS(reads(R"({"pairs": true, "batch": 3})"), Error);
  REQUIRE_THROWS_AS(reads(R"({"optimizer": "adam"})"), Error);
}

TEST_CASE("uniq config: weights rise from start over the ramp", "[uniq][golden]") {
  uniq::UniqConfig config;
  config.start = 10;
  config.ramp = 20;
  REQUIRE(config.ramp_at(9) == 0);
  REQUIRE(config.ramp_at(10) == 0);
  REQUIRE(config.ramp_at(20) == Approx(0.5));
  REQUIRE(config.ramp_at(1000) == 1);
  config.ramp = 0;
  REQUIRE(config.ramp_at(10) == 1);
}

TEST_CASE("uniq config: the equivariance term of every k-th step weighs k times as much", "[uniq]") {
  uniq::UniqConfig config;
  config.ramp = 0;
  config.equi_weight = 0.5;
  REQUIRE(config.equi_weight_at(0) == 0.5);
  config.equi_every = 4;
  for (int64_t step = 0; step < 8; ++step) REQUIRE(config.equi_weight_at(step) == (step % 4 == 3 ? 2 : 0));
  config.ramp = 8;
  REQUIRE(config.equi_weight_at(3) == Approx(2 * 3.0 / 8));
  config.start = 4;
  REQUIRE(config.equi_weight_at(3) == 0);
  config.equi_every = 0;
  REQUIRE_THROWS_AS(config.check(), Error);
}
