#include "lib/base/assignment.h"

#include <cmath>
#include <limits>

#include "lib/base/error.h"

namespace iuq {
namespace {

constexpr double kLargest = 1e100;  // sums of a path's costs stay finite

size_t at(int64_t i) { return static_cast<size_t>(i); }

void check_costs(const double* cost, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows * columns; ++i) {
    if (std::abs(cost[i]) <= kLargest) continue;  // false for NaN
    throw Error(ErrorCode::kBadData, cat("assignment: the cost of row ", i / columns, " and column ", i % columns, " is ",
                                         cost[i], ", must be finite and at most ", kLargest));
  }
}

/// Rows are added one by one; after each, the rows so far have the cheapest assignment. The prices prove it:
/// cost(r, c) >= row_price(r) + column_price(c), with equality for assigned pairs.
class Assigner {
 public:
  Assigner(const double* cost, int64_t rows, int64_t columns)
      : cost_(cost), columns_(columns), row_price_(at(rows)), column_price_(at(columns)), column_of_(at(rows), -1),
        row_of_(at(columns), -1) {}

  // Dijkstra over columns from `row` to the first free one, then every row on the path moves on by one.
  void add(int64_t row) {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    distance_.assign(at(columns_), kFar);
    from_.assign(at(columns_), -1);
    settled_.assign(at(columns_), 0);
    double reached = 0;
    int64_t end = -1;
    for (int64_t r = row; end < 0;) {
      const int64_t nearest = settle(r, reached);
      IUQ_ASSERT(nearest >= 0);  // there are at least as many columns as rows, and costs are finite
      reached = distance_[at(nearest)];
      r = row_of_[at(nearest)];
      if (r < 0) end = nearest;
    }
    for (int64_t c = 0; c < columns_; ++c) {
      if (!settled_[at(c)]) continue;
      const double slack = reached - distance_[at(c)];
      column_price_[at(c)] -= slack;
      if (row_of_[at(c)] >= 0) row_price_[at(row_of_[at(c)])] += slack;
    }
    row_price_[at(row)] += reached;
    for (int64_t c = end; c >= 0;) {
      const int64_t r = from_[at(c)];
      row_of_[at(c)] = r;
      std::swap(column_of_[at(r)], c);  // c: the column that r had; -1 for the new row
    }
  }

  const std::vector<int64_t>& column_of() const { return column_of_; }
  const std::vector<int64_t>& row_of() const { return row_of_; }

 private:
  // Shortens distances over row r, which is `reached` away, and settles the nearest column: of equally near ones a free
  // one before others, then the first.
  int64_t settle(int64_t r, double reached) {
    const double* const cost = cost_ + r * columns_;
    int64_t nearest = -1;
    for (int64_t c = 0; c < columns_; ++c) {
      if (settled_[at(c)]) continue;
      const double distance = reached + (cost[c] - row_price_[at(r)] - column_price_[at(c)]);
      if (distance < distance_[at(c)]) {
        distance_[at(c)] = distance;
        from_[at(c)] = r;
      }
      const bool ends_sooner = nearest >= 0 && distance_[at(c)] == distance_[at(nearest)] && row_of_[at(c)] < 0 &&
                               row_of_[at(nearest)] >= 0;
      if (nearest < 0 || distance_[at(c)] < distance_[at(nearest)] || ends_sooner) nearest = c;
    }
    if (nearest >= 0) settled_[at(nearest)] = 1;
    return nearest;
  }

  const double* cost_;
  int64_t columns_;
  std::vector<double> row_price_, column_price_, distance_;
  std::vector<int64_t> column_of_, row_of_, from_;
  std::vector<char> settled_;
};

}  // namespace

std::vector<int64_t> assign_rows(const double* cost, int64_t rows, int64_t columns) {
  IUQ_ASSERT(rows >= 0 && columns >= 0);
  check_costs(cost, rows, columns);
  if (rows <= columns) {
    Assigner assigner(cost, rows, columns);
    for (int64_t r = 0; r < rows; ++r) assigner.add(r);
    return assigner.column_of();
  }
  std::vector<double> turned(at(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) turned[at(c * rows + r)] = cost[r * columns + c];
  }
  Assigner assigner(turned.data(), columns, rows);
  for (int64_t c = 0; c < columns; ++c) assigner.add(c);
  return assigner.row_of();
}

}  // namespace iuq
