#include "lib/train/metrics.h"

#include <torch/types.h>

#include <cmath>

#include "lib/base/error.h"

namespace iuq::train {
namespace {

using nlohmann::json;
constexpr const char* kNorm = "grad_norm";

}  // namespace

MetricsWindow::MetricsWindow(const std::string& saved) {
  const json state = json::parse(saved, nullptr, /*allow_exceptions=*/false);
  if (!state.is_object()) throw Error(ErrorCode::kBadData, "the saved metrics window is not a JSON object");
  steps_ = state.value("steps", int64_t{0});
  const json sums = state.value("sums", json::array());
  for (const json& item : sums) {
    sums_.emplace_back(item.at(0).get<std::string>(), torch::tensor(item.at(1).get<double>(), at::kDouble));
  }
}

void MetricsWindow::add(const model::Losses& terms, const at::Tensor& gradient_norm, int64_t images) {
  const auto put = [&](const std::string& name, const at::Tensor& value) {
    const at::Tensor wide = value.detach().to(at::kDouble);
    for (auto& [key, sum] : sums_) {
      if (key == name) {
        sum = sum.to(wide.device()) + wide;
        return;
      }
    }
    sums_.emplace_back(name, wide);
  };
  for (const auto& [name, value] : terms) put(name, value);
  put(kNorm, gradient_norm);
  ++steps_;
  images_ += images;
}

json MetricsWindow::values() const {
  json out = json::array();
  for (const auto& [name, sum] : sums_) out.push_back({name, sum.item<double>()});
  return out;
}

bool MetricsWindow::is_finite() const {
  for (const auto& [name, sum] : sums_) {
    if (!std::isfinite(sum.item<double>())) return false;
  }
  return true;
}

std::string MetricsWindow::text() const {
  std::string out;
  for (const auto& [name, sum] : sums_) {
    out += cat(out.empty() ? "" : ", ", name, " ", sum.item<double>() / static_cast<double>(std::max<int64_t>(steps_, 1)));
  }
  return out;
}

json MetricsWindow::take() {
  json losses = json::object();
  double total = 0;
  double norm = 0;
  for (const auto& [name, sum] : sums_) {
    const double mean = sum.item<double>() / static_cast<double>(steps_);
    if (name == kNorm) {
      norm = mean;
    } else {
      losses[name] = mean;
      total += mean;
    }
  }
  sums_.clear();
  steps_ = 0;
  images_ = 0;
  return {{"losses", losses}, {"loss", total}, {kNorm, norm}};
}

std::string MetricsWindow::saved() const { return json({{"steps", steps_}, {"sums", values()}}).dump(); }

}  // namespace iuq::train
