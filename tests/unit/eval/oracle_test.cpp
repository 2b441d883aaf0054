// Every case of ../shared/oracle: what the reference evaluators answer, arrays included.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/eval/evaluate.h"
#include "lib/io/json_file.h"
#include "tests/support/catch.h"
#include "tests/support/sha256.h"

namespace {

namespace fs = std::filesystem;
using namespace iuq::eval;
using nlohmann::json;

std::string digest(const std::vector<double>& values) {
  return iuq::support::sha256(values.data(), values.size() * sizeof(double));
}

EvalConfig oracle_config(const std::string& name, const std::string& protocol, const json& block, int threads) {
  EvalConfig config;
  config.protocol = parse_protocol(protocol);
  config.iou_types = parse_iou_types(name.substr(0, 4));
  config.use_categories = name.find("_useCats0") == std::string::npos;
  if (config.protocol == Protocol::kLvis) config.max_dets = {300};
  if (block.contains("maxDets")) config.max_dets = block["maxDets"].get<std::vector<int>>();
  config.threads = threads;
  return config;
}

void compare_categories(const Summary& summary, const json& expected) {
  size_t found = 0;
  for (const json& row : expected) {
    for (const CategoryStats& category : summary.categories) {
      if (category.id != row["id"]) continue;
      ++found;
      if (row["name"].is_string()) CHECK(category.name == row["name"]);
      for (const Stat& stat : category.stats) {
        CAPTURE(category.id, stat.name);
        CHECK(stat.value == row[stat.name].get<double>());
      }
    }
  }
  CHECK(found == expected.size());
}

void compare(const std::string& folder, const EvalConfig& config, const json& block) {
  const std::string gt = folder + "/gt.json", dt = folder + "/dt.json";
  if (block.contains("error")) {
    // Run-length masks bring their size along, so an image need not state it.
    if (folder.ends_with("/image_no_size")) {
      CHECK(evaluate(gt, dt, config).at(0).stats.at(0).value > 0);
      return;
    }
    EvalConfig strict = config;  // else what the reference dies of may be left out or mended
    strict.strict = true;
    CHECK_THROWS_AS(evaluate(gt, dt, strict), iuq::Error);
    return;
  }
  const auto summaries = evaluate(gt, dt, config, [&](const EvalInput&, const MatchTable&, const Curves& curves) {
    CHECK(digest(curves.precision) == block["sha256"]["precision"]);
    CHECK(digest(curves.recall) == block["sha256"]["recall"]);
    if (block["sha256"].contains("scores")) CHECK(digest(curves.scores) == block["sha256"]["scores"]);
  });
  const Summary& summary = summaries.at(0);
  REQUIRE(summary.stats.size() == block["stats_hex"].size());
  for (size_t i = 0; i < summary.stats.size(); ++i) {
    CAPTURE(summary.stats[i].name);
    const double reference = std::strtod(block["stats_hex"][i].get<std::string>().c_str(), nullptr);
    if (i == 0 && block.contains("maxDets") && reference == -1) {
      CHECK(summary.stats[i].value > 0);  // the reference knows AP at a cut of 100 alone; ours is at the largest
    } else {
      CHECK(summary.stats[i].value == reference);
    }
    // The reference's "ARs@300" is "ARs" here, as in COCO: the cut is said once, by "AR@300".
    std::string name = block["names"][i];
    if (name.starts_with("ARs@") || name.starts_with("ARm@") || name.starts_with("ARl@")) name.resize(3);
    if (!block.contains("maxDets")) CHECK(summary.stats[i].name == name);
  }
  compare_categories(summary, block["per_category"]);
}

std::vector<std::string> folders_of(const std::string& kind) {
  std::vector<std::string> out;
  const fs::path root = fs::path(IUQ_SHARED_DIR) / "oracle" / kind;
  if (!fs::exists(root)) return out;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (fs::exists(entry.path() / "expected.json")) out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void compare_all(const std::string& kind, int threads) {
  const auto folders = folders_of(kind);
  if (folders.empty()) std::cout << "skipped: no " << IUQ_SHARED_DIR << "/oracle/" << kind << "\n";
  int blocks = 0;
  for (const std::string& folder : folders) {
    const json expected = iuq::io::read_json(folder + "/expected.json");
    for (const auto& [name, block] : expected.items()) {
      if (!block.is_object()) continue;
      CAPTURE(folder, name);
      compare(folder, oracle_config(name, expected["protocol"], block, threads), block);
      ++blocks;
    }
  }
  if (!folders.empty()) CHECK(blocks > static_cast<int>(folders.size()));
}

}  // namespace

TEST_CASE("eval: the adversarial cases give the reference's numbers and arrays to the bit", "[eval][golden]") {
  compare_all("cases", 1);
}

TEST_CASE("eval: real annotations give the reference's numbers and arrays to the bit", "[eval][golden]") {
  compare_all("real", 3);
}
