#include "lib/view/shape.h"

#include <torch/types.h>

#include <functional>
#include <string>

#include "tests/support/catch.h"

using namespace iuq;
using view::expect_count;
using view::expect_shape;

namespace {

std::string failure(const std::function<void()>& call, ErrorCode code) {
  try {
    call();
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("shape: what fits is accepted, of any size where any size will do", "[view][property]") {
  const at::Tensor x = torch::zeros({2, 3, 5});
  CHECK_NOTHROW(expect_shape(x, {2, 3, 5}, at::kFloat, "x"));
  CHECK_NOTHROW(expect_shape(x, {-1, 3, -1}, at::kFloat, "x"));
  CHECK_NOTHROW(expect_shape(torch::zeros({}), {}, at::kFloat, "x"));
  CHECK_NOTHROW(expect_shape(torch::zeros({0, 4}, at::kLong), {-1, 4}, at::kLong, "x"));
  CHECK_NOTHROW(expect_count(2, 2, "list"));
}

TEST_CASE("shape: what does not fit is an error with name, wanted and found shape and type", "[view][error]") {
  const at::Tensor x = torch::zeros({2, 3, 5});
  const auto of = [&](const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type) {
    return failure([&] { expect_shape(tensor, shape, type, "maps[].x", 7); }, ErrorCode::kInternal);
  };
  const std::string prefix = "internal error: maps[7].x must be ";
  CHECK(of(x, {-1, 4, 5}, at::kFloat) == prefix + "[*, 4, 5] float32, but is [2, 3, 5] float32");
  CHECK(of(x, {2, 3}, at::kFloat) == prefix + "[2, 3] float32, but is [2, 3, 5] float32");
  CHECK(of(x, {2, 3, 5}, at::kLong) == prefix + "[2, 3, 5] int64, but is [2, 3, 5] float32");
  CHECK(of(x.to(at::kBool), {}, at::kDouble) == prefix + "[] float64, but is [2, 3, 5] bool");
  CHECK(of({}, {-1}, at::kFloat) == prefix + "[*] float32, but is undefined");
  CHECK(failure([&] { expect_shape(x, {1}, at::kFloat, "\"x\" of f.h5", -1, ErrorCode::kBadData); }, ErrorCode::kBadData) ==
        "\"x\" of f.h5 must be [1] float32, but is [2, 3, 5] float32");
  CHECK(failure([&] { expect_count(1, 2, "truth"); }, ErrorCode::kInternal) ==
        "internal error: truth must be 2 long, but is 1 long");
}
