#include "lib/train/diagnostics.h"

#include <torch/types.h>

#include <fstream>
#include <map>

#include "lib/train/foreign_pixels.h"
#include "lib/train/optimizer.h"
#include "lib/train/step.h"
#include "lib/uniq/diagnostics.h"
#include "tests/unit/model/tiny_segmenters.h"
#include "tests/unit/train/support.h"

using namespace iuq;
using namespace iuq::train;
using nlohmann::json;
using test::TinyRun;

namespace {

// The lines of metrics.jsonl without the times: those of diagnoses, or the others.
std::vector<json> diagnosed_lines(const std::string& run, bool diagnoses) {
  std::ifstream in(run + "/metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) {
    json value = json::parse(line);
    value.erase("seconds");
    value.erase("images_per_second");
    if (value.contains("diagnostics") == diagnoses) lines.push_back(value);
  }
  return lines;
}

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

using Keys = std::vector<std::string>;

// The gradient of one term by itself, by a backward pass of its own.
std::vector<at::Tensor> alone(model::Segmenter& segmenter, const at::Tensor& loss) {
  loss.backward({}, /*retain_graph=*/true);
  std::vector<at::Tensor> gradients;
  for (at::Tensor& parameter : segmenter.parameters()) {
    gradients.push_back(parameter.grad().defined() ? parameter.grad().clone() : at::Tensor());
    parameter.mutable_grad().reset();
  }
  return gradients;
}

}  // namespace

TEST_CASE("diagnostics: a training that is diagnosed is the one that is not, byte for byte", "[train][property]") {
  TinyRun tiny;
  const std::string kind = GENERATE("images", "trained norms", "cache", "control");
  CAPTURE(kind);
  if (kind == "trained norms") tiny.job.model["backbone"]["norm"] = "batch";
  if (kind == "cache") tiny.use_cache();
  if (kind == "control") tiny.job.uniq.inter_weight = tiny.job.uniq.equi_weight = 0;
  REQUIRE(tiny.run("plain"));
  tiny.job.diagnose_every = 2;
  CHECK_FALSE(tiny.run("plain"));  // up to date: it is no other run
  REQUIRE(tiny.run("diagnosed"));
  const std::string plain = tiny.folder / "plain", diagnosed = tiny.folder / "diagnosed";
  CHECK(test::read_bytes(plain + "/model.safetensors") == test::read_bytes(diagnosed + "/model.safetensors"));
  CHECK(diagnosed_lines(plain, false) == diagnosed_lines(diagnosed, false));
  CHECK(diagnosed_lines(plain, true).empty());
  const std::vector<json> lines = diagnosed_lines(diagnosed, true);
  REQUIRE(lines.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(lines[i].at("step") == 2 * (i + 1));

  // Stopped between two diagnoses, after one that its checkpoint does not know yet, and resumed.
  tiny.job.stop = [left = 3]() mutable { return --left <= 0; };
  test::refusal(ErrorCode::kInterrupted, [&] { tiny.run("stopped"); });
  tiny.job.stop = [] { return false; };
  std::ofstream(tiny.folder / "stopped/metrics.jsonl", std::ios::app) << R"({"step": 4, "diagnostics": {}})" << "\n";
  REQUIRE(tiny.run("stopped", /*resume=*/true));
  CHECK(diagnosed_lines(tiny.folder / "stopped", true) == lines);
  CHECK(diagnosed_lines(tiny.folder / "stopped", false) == diagnosed_lines(plain, false));
}

TEST_CASE("diagnostics: every segmenter is diagnosed, with pairs and without, with the terms and without", "[train]") {
  TinyRun tiny;
  const std::string name = GENERATE("condinst", "mask2former", "solov2", "sotr");
  const bool pairs = GENERATE(false, true), method = GENERATE(false, true);
  CAPTURE(name, pairs, method);
  tiny.job.model = model::effective_model_config(test::tiny_segmenters().at(name));
  tiny.job.train.pairs = pairs;
  tiny.job.train.steps = tiny.job.diagnose_every = 2;
  tiny.job.uniq.start = tiny.job.uniq.ramp = 0;
  tiny.job.uniq.inter_weight = method ? 0.5 : 0;
  tiny.job.uniq.equi_weight = method && pairs ? 3 : 0;
  REQUIRE(tiny.run("run"));
  const std::vector<json> lines = diagnosed_lines(tiny.folder / "run", true);
  REQUIRE(lines.size() == 1);
  const json found = lines[0].at("diagnostics");
  CAPTURE(found.dump(1));
  CHECK(found.at("queries") > 0);
  for (const auto& [where, rate] : found.at("fires").items()) {
    CAPTURE(where);
    CHECK(rate >= 0);
    CHECK(rate <= 1);
  }
  for (const char* where : {"own", "background", "foreign"}) CHECK(found.at("fires").contains(where));
  // An untrained CondInst fires nowhere, and two empty masks have no IoU.
  if (!pairs || name != "condinst") CHECK(found.contains("equivariance_iou") == pairs);
  const json& gradients = found.at("gradients");
  CHECK(keys_of(gradients) == (!method ? Keys{"base"} : pairs ? Keys{"base", "equi", "inter"} : Keys{"base", "inter"}));
  for (const char* where : {"queries", "mask_features", "parameters"}) {
    CHECK(gradients.at("base").at(where).at("norm") > 0);
    CHECK(keys_of(gradients.at("base").at(where)) == Keys{"norm"});
  }
  if (!method) return;
  CHECK(keys_of(gradients.at("inter").at("queries")) == Keys{"cosine", "norm"});
  CHECK(keys_of(gradients.at("inter").at("parameters")) == Keys{"cosine", "norm"});
  CHECK(gradients.at("inter").at("mask_features").at("norm") == 0);  // foreign pixels are detached
  if (pairs) CHECK(keys_of(gradients.at("equi").at("queries")) == Keys{"cosine", "norm"});
}

TEST_CASE("diagnostics: gradients are those of the terms by themselves, measures those of the step", "[train][property]") {
  TinyRun tiny;
  tiny.job.uniq.equi_at = "mask_features";  // so that both terms and the base loss have a gradient there
  tiny.job.uniq.start = tiny.job.uniq.ramp = 0;
  test::Pieces pieces(tiny.job);
  model::Segmenter& segmenter = *pieces.segmenter;
  ForeignPixels foreign(tiny.job.uniq, nullptr, at::kCPU, 0);
  Optimizer optimizer(tiny.job.train, segmenter);
  const auto terms = loss_terms(segmenter, tiny.job.uniq, &foreign, 0);
  Step step(segmenter, optimizer, terms, 0);
  const Batch batch = pieces.source->make({0, 1}, 3);
  const Forward pass = step.forward(batch, 3);
  const std::vector<LossValue> losses = evaluate(terms, pass);
  const json found = diagnose(segmenter, pass, losses, &foreign, tiny.job.uniq, 0);
  for (const at::Tensor& parameter : segmenter.parameters()) CHECK_FALSE(parameter.grad().defined());
  pass.encoded.mask_features.retain_grad();
  pass.queries.vectors.retain_grad();

  struct Gradients {
    std::vector<at::Tensor> queries, mask_features, parameters;
  };
  std::map<std::string, Gradients> expected;
  for (const std::string term : {"base", "inter", "equi"}) {
    at::Tensor sum = torch::zeros({});
    for (const LossValue& loss : losses) {
      if (loss.term == term) sum = sum + loss.weighted;
    }
    expected[term].parameters = alone(segmenter, sum);
    for (const auto& [tensor, to] : {std::pair{pass.queries.vectors, &expected[term].queries},
                                     {pass.encoded.mask_features, &expected[term].mask_features}}) {
      to->push_back(tensor.grad().defined() ? tensor.grad().clone() : at::Tensor());
      tensor.mutable_grad().reset();
    }
  }
  for (const auto& [term, own] : expected) {
    for (const auto& [where, gradient, base] :
         {std::tuple{"queries", own.queries, expected["base"].queries},
          {"mask_features", own.mask_features, expected["base"].mask_features},
          {"parameters", own.parameters, expected["base"].parameters}}) {
      CAPTURE(term, where);
      const json& got = found.at("gradients").at(term).at(where);
      CHECK(got.at("norm").get<double>() == Approx(uniq::norm_of(gradient)).epsilon(1e-5));
      const auto cosine = uniq::cosine_of(gradient, base);
      REQUIRE(got.contains("cosine") == (term != "base" && cosine));
      if (got.contains("cosine")) CHECK(got.at("cosine").get<double>() == Approx(*cosine).margin(1e-5));
    }
  }
  CHECK(found.at("gradients").at("equi").at("mask_features").contains("cosine"));

  const auto foreign_rate =
      uniq::firing_on_foreign(segmenter, pass.queries, query_image_ids(pass), foreign.entries());
  CHECK(found.at("fires").at("foreign") == foreign_rate.value());
  const auto home = uniq::firing_at_home(segmenter, pass.queries, pass.encoded.mask_features, batch.truth, batch.frame);
  CHECK(found.at("fires").at("own") == home.own.value());
  CHECK(found.at("fires").at("background") == home.background.value());
  CHECK(found.contains("mask_on_other") == home.on_other.has_value());
}
