#include "lib/base/shard.h"

#include "lib/base/error.h"
#include "tests/support/catch.h"

using iuq::Shard;

TEST_CASE("shard: i/n is read, anything else is a usage error", "[base][error]") {
  REQUIRE(Shard::parse("3/16").name() == "shard-003-of-016");
  for (const char* bad : {"", "1", "4/4", "-1/4", "1/0", "1/4x", "a/b", "1/99999999999"}) {
    CAPTURE(bad);
    REQUIRE_THROWS_AS(Shard::parse(bad), iuq::Error);
  }
}

TEST_CASE("shard: every item belongs to exactly one shard", "[base][property]") {
  for (int64_t item = 0; item < 30; ++item) {
    int owners = 0;
    for (int64_t i = 0; i < 7; ++i) owners += Shard{i, 7}.owns(item) ? 1 : 0;
    REQUIRE(owners == 1);
  }
}
