#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/io/json_file.h"
#include "lib/model/segmenter.h"
#include "tests/support/catch.h"
#include "tests/support/formula.h"

// Weights, outputs and scenes as scripts/gen_fixtures_{solov2,condinst}.py make and describe them.
namespace iuq::test {

using model::Segmenter;
using nlohmann::json;

inline json fixture(const char* name) { return io::read_json(std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/" + name); }

inline at::Tensor formula(const std::string& name, std::vector<int64_t> shape, double low, double high) {
  const at::Tensor out = torch::empty(shape, at::kFloat);
  test::fill(name, low, high, out.data_ptr<float>(), out.numel());
  return out;
}

// Parameters by the rule of the generator.
inline void fill_parameter(const std::string& name, const at::Tensor& tensor) {
  const auto ends = [&](const std::string& end) {
    return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  double low = -0.1, high = 0.1;
  if (tensor.dim() > 1) {
    high = (tensor.dim() == 4 ? 1.4 : 0.02) * std::sqrt(3.0 / static_cast<double>(tensor[0].numel()));
    low = -high;
  } else if (ends("running_var") || ends(".weight")) {
    low = 0.5, high = 1.5;
  }
  tensor.copy_(formula(name, tensor.sizes().vec(), low, high));
}

struct Count {
  int64_t names = 0, elements = 0;
};

inline Count fill_segmenter(Segmenter& segmenter) {
  const torch::NoGradGuard guard;
  Count count;
  const auto take = [&](const std::string& name, const at::Tensor& tensor) {
    fill_parameter(name, tensor);
    ++count.names;
    count.elements += tensor.numel();
  };
  for (const auto& item : segmenter.named_parameters()) take(item.key(), item.value());
  for (const auto& item : segmenter.named_buffers()) take(item.key(), item.value());
  return count;
}

// Shape, means and samples of one output, within `tolerance` of its size.
inline void check_output(const json& wanted, const at::Tensor& output, double tolerance = 1e-4) {
  const std::string name = wanted.at("name");
  INFO(name);
  REQUIRE(output.sizes().vec() == wanted.at("shape").get<std::vector<int64_t>>());
  const at::Tensor flat = output.to(at::kDouble).contiguous().flatten();
  const double size = wanted.at("abs_mean");
  CHECK(std::abs(flat.mean().item<double>() - wanted.at("mean").get<double>()) <= tolerance * size);
  CHECK(std::abs(flat.abs().mean().item<double>() - size) <= tolerance * size);
  const auto values = wanted.at("values").get<std::vector<double>>();
  const auto where = test::bits("sample:" + name, static_cast<int64_t>(values.size()));
  for (size_t j = 0; j < values.size(); ++j) {
    const auto index = static_cast<int64_t>(where[j] % static_cast<uint64_t>(flat.numel()));
    INFO("sample " << j << " at " << index);
    CHECK(std::abs(flat[index].item<double>() - values[j]) <= tolerance * (size + std::abs(values[j])));
  }
}

// One object of a scene on its canvas: [Hi, Wi] bool.
inline at::Tensor draw(const json& object, const std::vector<int64_t>& valid, const std::vector<int64_t>& canvas) {
  const auto at = object.at("at").get<std::vector<int64_t>>();
  const at::Tensor y = torch::arange(valid[0], at::kLong).unsqueeze(1);
  const at::Tensor x = torch::arange(valid[1], at::kLong).unsqueeze(0);
  at::Tensor mask;
  if (object.at("shape") == "box") {
    mask = (x >= at[0]) & (x < at[2]) & (y >= at[1]) & (y < at[3]);
  } else {
    const at::Tensor dx = 2 * x + 1 - 2 * at[0], dy = 2 * y + 1 - 2 * at[1];
    mask = dx * dx * at[3] * at[3] + dy * dy * at[2] * at[2] <= 4 * at[2] * at[2] * at[3] * at[3];
  }
  const at::Tensor full = torch::zeros(canvas, at::kBool);
  full.slice(0, 0, valid[0]).slice(1, 0, valid[1]).copy_(mask);
  return full;
}

inline view::Instances truth_of(const json& scene) {
  const auto valid = scene.at("valid").get<std::vector<int64_t>>(), canvas = scene.at("canvas").get<std::vector<int64_t>>();
  view::Instances truth;
  std::vector<at::Tensor> masks;
  std::vector<int64_t> labels;
  for (const json& object : scene.at("objects")) {
    masks.push_back(draw(object, valid, canvas));
    labels.push_back(object.at("label"));
    truth.instance_ids.push_back(static_cast<int64_t>(truth.instance_ids.size()));
  }
  truth.masks = at::stack(masks);
  truth.labels = torch::tensor(labels, at::kLong);
  return truth;
}

}  // namespace iuq::test
