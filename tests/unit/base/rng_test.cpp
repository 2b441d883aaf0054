#include "lib/base/rng.h"

#include <set>

#include "tests/support/catch.h"
#include "tests/support/normal.h"

using iuq::Rng;

TEST_CASE("rng: a stream depends on seed, purpose and both keys, and on nothing else", "[base][property]") {
  std::set<uint64_t> firsts;
  for (uint64_t seed = 0; seed < 3; ++seed)
    for (const char* purpose : {"view", "order"})
      for (uint64_t a = 0; a < 5; ++a)
        for (uint64_t b = 0; b < 5; ++b) {
          Rng one(seed, purpose, a, b);
          Rng two(seed, purpose, a, b);
          const uint64_t first = one.next();
          REQUIRE(first == two.next());
          firsts.insert(first);
        }
  REQUIRE(firsts.size() == 150);
}

TEST_CASE("rng: numbers stay the same over releases, or every artifact changes", "[base][golden]") {
  REQUIRE(Rng(0, "golden", 1, 2).next() == 0xe3a62db0b34c06a3ULL);
}

TEST_CASE("rng: sample gives different numbers of the range", "[base][property]") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed, "sample");
    const auto some = rng.sample(50, 20);
    REQUIRE(std::set<int64_t>(some.begin(), some.end()).size() == 20);
    for (const int64_t value : some) REQUIRE((value >= 0 && value < 50));
    REQUIRE(rng.sample(3, 9).size() == 3);
  }
}

TEST_CASE("rng: uniform numbers, and normal ones made of them, have the right moments", "[base][property]") {
  Rng rng(1, "moments");
  double sum = 0, square = 0, uniform = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double x = iuq::test::normal(rng);
    sum += x;
    square += x * x;
    uniform += rng.uniform();
  }
  REQUIRE(sum / n == Approx(0).margin(0.03));
  REQUIRE(square / n == Approx(1).margin(0.05));
  REQUIRE(uniform / n == Approx(0.5).margin(0.02));
}
