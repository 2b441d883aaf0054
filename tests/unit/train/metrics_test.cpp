#include "lib/train/metrics.h"

#include <torch/types.h>

#include <limits>

#include "lib/train/loop.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using namespace iuq::train;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

LossValue loss(const std::string& name, double weight, double value) {
  const at::Tensor tensor = torch::tensor(value, at::kFloat);
  return {name, weight, tensor, weight * tensor, name};
}

StepResult step(double first, double second, double norm) {
  return {{loss("class", 1, first), loss("inter", 0.5, second)}, torch::tensor(norm, at::kFloat), {7, 9}};
}

}  // namespace

TEST_CASE("metrics: a line has the means of the weighted losses, their sum, and the fields that were added", "[train]") {
  MetricsWindow window;
  MetricsLog log(window);
  log.add("twice", [](int64_t at) { return 2 * at; });
  window.add(step(1, 8, 3));
  window.add(step(2, 4, 5));
  CHECK(window.images() == 4);
  CHECK(window.text() == "class 1.5, inter 3, grad_norm 4");
  const nlohmann::json line = log.line(20);
  CHECK(line.at("losses") == nlohmann::json({{"class", 1.5}, {"inter", 3.0}}));
  CHECK(line.at("loss") == 4.5);
  CHECK(line.at("grad_norm") == 4);
  CHECK(line.at("step") == 20);
  CHECK(line.at("twice") == 40);
  CHECK(line.at("seconds") >= 0);
  CHECK(line.at("images_per_second") > 0);
  CHECK(line.size() == 7);
  CHECK(window.images() == 0);
  window.add(step(5, 2, 1));
  CHECK(log.line(21).at("loss") == 6);  // nothing is left of the steps before
}

TEST_CASE("metrics: a window that was saved in the middle gives the line of one that was not", "[train][property]") {
  MetricsWindow whole, half;
  for (MetricsWindow* const window : {&whole, &half}) window->add(step(0.1, 0.7, 1e-3));
  MetricsWindow resumed(half.saved());
  for (MetricsWindow* const window : {&whole, &resumed}) window->add(step(1.0 / 3, 2.0 / 3, 7));
  CHECK(whole.take() == resumed.take());
}

TEST_CASE("metrics: a value that is not finite is told with its step and images, and is never saved", "[train][error]") {
  MetricsWindow window;
  window.add(step(1, 2, 3));
  window.check_finite(4, {7, 9});
  window.add(step(1, kNaN, 3));
  window.add(step(1, 2, 3));  // later steps do not hide it
  const std::string said = test::refusal(ErrorCode::kBadData, [&] { window.check_finite(4, {7, 9}); });
  for (const char* part : {"step 4", "inter nan", "images 7 9", "train.lr"}) CHECK(test::contains(said, part));
  test::refusal(ErrorCode::kBadData, [&] { window.saved(); });

  MetricsWindow norm;
  norm.add(step(1, 2, std::numeric_limits<double>::infinity()));
  test::refusal(ErrorCode::kBadData, [&] { norm.check_finite(1, {}); });
}

TEST_CASE("metrics: a saved window that is something else is refused", "[train][error]") {
  for (const char* text : {"", "[]", "{}", R"({"steps": 1})", R"({"steps": "1", "sums": []})",
                           R"({"steps": 1, "sums": [["a", null]]})", R"({"steps": 1, "sums": [["a"]]})",
                           R"({"steps": 1, "sums": [[1, 2]]})", R"({"steps": -2, "sums": []})",
                           R"({"steps": 0, "sums": [["a", 1]]})"}) {
    CAPTURE(text);
    test::refusal(ErrorCode::kBadData, [&] { MetricsWindow window(text); });
  }
}
