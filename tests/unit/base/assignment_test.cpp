#include "lib/base/assignment.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "tests/support/catch.h"
#include "tests/support/formula.h"
#include "tests/support/normal.h"

using iuq::assign_rows;

namespace {

struct Matrix {
  int64_t rows, columns;
  std::vector<double> cost;
  double at(int64_t r, int64_t c) const { return cost[static_cast<size_t>(r * columns + c)]; }
};

// Also checks that it is an assignment: as many pairs as the smaller side has, no column twice.
double total(const Matrix& matrix, const std::vector<int64_t>& column_of) {
  double sum = 0;
  std::set<int64_t> used;
  REQUIRE(static_cast<int64_t>(column_of.size()) == matrix.rows);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    const int64_t c = column_of[static_cast<size_t>(r)];
    if (c < 0) continue;
    REQUIRE(c < matrix.columns);
    REQUIRE(used.insert(c).second);
    sum += matrix.at(r, c);
  }
  REQUIRE(static_cast<int64_t>(used.size()) == std::min(matrix.rows, matrix.columns));
  return sum;
}

// All ways to give each member of the shorter side one of the longer.
double least_total(const Matrix& matrix) {
  const bool wide = matrix.rows <= matrix.columns;
  std::vector<int64_t> order(static_cast<size_t>(std::max(matrix.rows, matrix.columns)));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    double sum = 0;
    for (int64_t i = 0; i < std::min(matrix.rows, matrix.columns); ++i) {
      const int64_t other = order[static_cast<size_t>(i)];
      sum += wide ? matrix.at(i, other) : matrix.at(other, i);
    }
    least = std::min(least, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

}  // namespace

TEST_CASE("assignment: the total is the least of all assignments, with ties and both rectangular ways", "[base][oracle]") {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    iuq::Rng rng(seed, "assignment");
    Matrix matrix{1 + rng.below(6), 1 + rng.below(6), {}};
    const bool ties = seed % 2 == 0;  // few different values
    for (int64_t i = 0; i < matrix.rows * matrix.columns; ++i) {
      matrix.cost.push_back(ties ? static_cast<double>(rng.below(4)) - 1 : iuq::test::normal(rng));
    }
    const auto column_of = assign_rows(matrix.cost.data(), matrix.rows, matrix.columns);
    REQUIRE(total(matrix, column_of) == Approx(least_total(matrix)).margin(1e-12));
    REQUIRE(column_of == assign_rows(matrix.cost.data(), matrix.rows, matrix.columns));
  }
}

TEST_CASE("assignment: a constant added to a row or a column moves no pair", "[base][property]") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    iuq::Rng rng(seed, "assignment");
    Matrix matrix{20, 20, {}};
    for (int64_t i = 0; i < 400; ++i) matrix.cost.push_back(iuq::test::normal(rng));
    Matrix moved = matrix;
    for (int64_t r = 0; r < 20; ++r) {
      const double more = 10 * iuq::test::normal(rng);
      for (int64_t c = 0; c < 20; ++c) {
        moved.cost[static_cast<size_t>(r * 20 + c)] += more;
        moved.cost[static_cast<size_t>(c * 20 + r)] -= 2 * more;
      }
    }
    REQUIRE(assign_rows(matrix.cost.data(), 20, 20) == assign_rows(moved.cost.data(), 20, 20));
  }
}

TEST_CASE("assignment: totals are those of scipy", "[base][golden]") {
  std::ifstream file(IUQ_SOURCE_DIR "/tests/fixtures/assignment.json");
  const auto fixture = nlohmann::json::parse(file);
  REQUIRE(fixture["cases"].size() >= 4);
  for (const auto& item : fixture["cases"]) {
    const std::string name = item["name"];
    CAPTURE(name);
    Matrix matrix{item["rows"], item["columns"], {}};
    std::vector<float> values(static_cast<size_t>(matrix.rows * matrix.columns));
    iuq::test::fill(name, item["low"], item["high"], values.data(), matrix.rows * matrix.columns);
    for (const float value : values) matrix.cost.push_back(item["floor"].get<bool>() ? std::floor(value) : value);
    const auto column_of = assign_rows(matrix.cost.data(), matrix.rows, matrix.columns);
    REQUIRE(total(matrix, column_of) == Approx(item["total"].get<double>()).epsilon(1e-12).margin(1e-9));
  }
}

TEST_CASE("assignment: of equal costs the first rows and columns pair", "[base][property]") {
  const std::vector<double> same(12, 2.5);
  REQUIRE(assign_rows(same.data(), 3, 4) == std::vector<int64_t>{0, 1, 2});
  REQUIRE(assign_rows(same.data(), 4, 3) == std::vector<int64_t>{0, 1, 2, -1});
}

TEST_CASE("assignment: no rows, no columns", "[base]") {
  REQUIRE(assign_rows(nullptr, 0, 5).empty());
  REQUIRE(assign_rows(nullptr, 0, 0).empty());
  REQUIRE(assign_rows(nullptr, 3, 0) == std::vector<int64_t>{-1, -1, -1});
}

TEST_CASE("assignment: a cost that is no finite number is an error that says where", "[base][error]") {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), -1e200}) {
    std::vector<double> cost(6, 1.0);
    cost[5] = bad;
    std::string message;
    try {
      assign_rows(cost.data(), 2, 3);
    } catch (const iuq::Error& e) {
      message = e.what();
    }
    REQUIRE(message.find("row 1 and column 2") != std::string::npos);
  }
}
