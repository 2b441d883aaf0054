#include "lib/base/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "tests/support/catch.h"

TEST_CASE("parallel: parallel_for visits each index once, for any grain and number of threads", "[base][property]") {
  for (const size_t grain : {1, 3, 100}) {
    for (const int threads : {1, 2, 9}) {
      std::vector<std::atomic<int>> visits(50);
      iuq::parallel_for(visits.size(), grain, threads, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) ++visits[i];
      });
      for (const auto& n : visits) REQUIRE(n == 1);
    }
  }
  iuq::parallel_for(0, 4, 3, [](size_t, size_t) { FAIL("called for nothing"); });
}

TEST_CASE("parallel: parallel_for throws what the first failing piece throws", "[base][error]") {
  for (int repeat = 0; repeat < 50; ++repeat) {
    try {
      iuq::parallel_for(40, 1, 4, [](size_t begin, size_t) {
        if (begin >= 5) throw std::runtime_error(std::to_string(begin));
      });
      FAIL("nothing was thrown");
    } catch (const std::runtime_error& e) {
      REQUIRE(std::string(e.what()) == "5");
    }
  }
}
