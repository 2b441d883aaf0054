#include "lib/train/metrics.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/io/image_names.h"

namespace iuq::train {
namespace {

using nlohmann::json;
constexpr const char* kNorm = "grad_norm";

}  // namespace

MetricsWindow::MetricsWindow(const std::string& saved) {
  const json state = json::parse(saved, nullptr, /*allow_exceptions=*/false);
  const bool whole = state.is_object() && state.contains("steps") && state["steps"].is_number_unsigned() &&
                     state.contains("sums") && state["sums"].is_array() &&
                     (state["steps"] > 0 || state["sums"].empty());
  if (!whole) {
    throw Error(ErrorCode::kBadData, "the saved metrics window is not an object with \"sums\" and the number of \"steps\" in them");
  }
  steps_ = state["steps"];
  for (const json& item : state["sums"]) {
    const bool pair = item.is_array() && item.size() == 2 && item[0].is_string();
    if (!pair || !item[1].is_number()) {  // a NaN is written as null
      throw Error(ErrorCode::kBadData, cat("the saved metrics window holds ", item.dump(), " in place of a finite sum"));
    }
    sums_.emplace_back(item[0].get<std::string>(), torch::tensor(item[1].get<double>(), at::kDouble));
  }
}

void MetricsWindow::add(const StepResult& result) {
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
  for (const LossValue& loss : result.losses) put(loss.name, loss.weighted);
  put(kNorm, result.gradient_norm);
  ++steps_;
  images_ += static_cast<int64_t>(result.image_ids.size());
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

void MetricsWindow::check_finite(int64_t step, const std::vector<int64_t>& image_ids) const {
  if (is_finite()) return;
  std::string ids;
  for (const int64_t id : image_ids) ids += cat(ids.empty() ? "" : " ", io::image_text(id));
  throw Error(ErrorCode::kBadData, cat("the loss is not finite at step ", step, " (", text(), "), images ", ids,
                                       "; lower train.lr, lengthen train.warmup, or look at these images"));
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

std::string MetricsWindow::saved() const {
  if (!is_finite()) throw Error(ErrorCode::kBadData, cat("the metrics are not finite (", text(), ")"));
  return json({{"steps", steps_}, {"sums", values()}}).dump();
}

void MetricsLog::add(const std::string& name, Field field) { fields_.emplace_back(name, std::move(field)); }

json MetricsLog::line(int64_t step) {
  const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
  const double rate = static_cast<double>(window_.images()) / std::max(seconds, 1e-9);
  json line = window_.take();
  line["step"] = step;
  for (const auto& [name, field] : fields_) line[name] = field(step);
  line["images_per_second"] = rate;
  line["seconds"] = seconds;
  since_ = Clock::now();
  return line;
}

}  // namespace iuq::train
