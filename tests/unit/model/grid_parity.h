#pragma once

#include "lib/model/solov2/heads.h"
#include "tests/unit/model/parity.h"

// Networks with a query per grid cell against fixtures of scripts/gen_fixtures_{solov2,sotr}.py.
namespace iuq::test {

using model::Encoded;
using model::Frame;
using model::make_segmenter;

// All stages on one input, in the order of the fixture: backbone, neck, cells, mask features, logits of eight kernels.
inline std::vector<at::Tensor> outputs_of(Segmenter& segmenter, const json& run) {
  const auto shape = run.at("input").get<std::vector<int64_t>>();
  Frame frame;
  frame.canvas = {shape[2], shape[3]};
  frame.valid.assign(static_cast<size_t>(shape[0]), frame.canvas);
  std::vector<at::Tensor> outputs = segmenter.backbone(formula("input", shape, -2, 2));
  const Encoded encoded = segmenter.encode(outputs, frame);
  const auto& heads = model::own_state<model::GridHeads>(encoded.heads);
  std::vector<at::Tensor> logits;
  for (const json& cell : run.at("cells")) {
    const at::Tensor kernels = heads.kernels.at(cell[1].get<size_t>())[cell[0].get<int64_t>()];
    const at::Tensor kernel = kernels.select(2, cell[3].get<int64_t>()).select(1, cell[2].get<int64_t>());
    logits.push_back(at::einsum("d,dhw->hw", {kernel, encoded.mask_features[cell[0].get<int64_t>()]}));
  }
  outputs.insert(outputs.end(), encoded.neck.begin(), encoded.neck.end());
  outputs.insert(outputs.end(), heads.classes.begin(), heads.classes.end());
  outputs.insert(outputs.end(), heads.kernels.begin(), heads.kernels.end());
  outputs.push_back(encoded.mask_features);
  outputs.push_back(at::stack(logits));
  return outputs;
}

// Class and kernel maps and mask features of the generators' losses_of.
inline Encoded encoded_of(const std::string& tag, view::Size canvas, int64_t batch, int64_t classes,
                        const model::GridConfig& config) {
  Encoded encoded;
  encoded.frame = {canvas, std::vector<view::Size>(static_cast<size_t>(batch), canvas)};
  encoded.mask_features =
      formula(tag + "features", {batch, config.embedding, canvas.height / 4, canvas.width / 4}, 0, 1);
  const auto heads = std::make_shared<model::GridHeads>();
  for (size_t l = 0; l < config.grids.size(); ++l) {
    const int64_t side = config.grids[l];
    heads->classes.push_back(formula(tag + "cate" + std::to_string(l), {batch, classes, side, side}, -4, 2));
    heads->kernels.push_back(formula(tag + "kernel" + std::to_string(l), {batch, config.embedding, side, side}, -1, 1));
  }
  encoded.heads = heads;
  return encoded;
}

inline void check_network(const char* file) {
  const json data = fixture(file);
  const auto segmenter = make_segmenter(data.at("model"), data.at("classes"), /*seed=*/0);
  const Count count = fill_segmenter(*segmenter);
  CHECK(count.names == data.at("names"));
  CHECK(count.elements == data.at("parameters"));
  segmenter->eval();
  for (const json& run : data.at("runs")) {
    INFO("input " << run.at("input").dump());
    segmenter->zero_grad();
    const std::vector<at::Tensor> outputs = outputs_of(*segmenter, run);
    REQUIRE(outputs.size() == run.at("outputs").size());
    at::Tensor sum = outputs.back().square().sum();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const json& wanted = run.at("outputs")[i];
      check_output(wanted, outputs[i].detach());
      if (wanted.at("name").get<std::string>().rfind("cate", 0) == 0) sum = sum + outputs[i].square().sum();
    }
    if (!run.contains("gradients")) continue;
    sum.backward();
    for (const json& wanted : run.at("gradients")) {
      check_output(wanted, segmenter->named_parameters()[wanted.at("name").get<std::string>()].grad(), 1e-3);
    }
  }
}

}  // namespace iuq::test
