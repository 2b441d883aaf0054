#include "lib/info/inspect.h"

#include <limits>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/cache/feature_file.h"
#include "lib/io/provenance.h"
#include "lib/io/safetensors.h"
#include "lib/uniq/negatives.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using test::TempFolder;

namespace {

std::string provenance() { return io::Provenance("test", {{"a", 1}}).to_json().dump(); }

// A complete cache of one image whose rows are zeros; `gap` leaves out what makes it so.
void write_features(const std::string& path, const std::string& gap = "") {
  cache::FeatureTables t;
  t.provenance = provenance();
  t.backbone = "b";
  t.alignment = "strided";
  t.views = 1;
  t.images_total = 1;
  t.strides = {4};
  t.channels = {2};
  t.canvases = {{32, 64}};
  t.rows = {{7, 0, 0, 0, 30, 60, {1, 0, 1, 0, 32, 64}, 0}};
  const std::string zeros(2 * 8 * 16 * 2, '\0');
  if (gap != "row") t.rows[0].checksum = cache::row_checksum({hash64(zeros.data(), zeros.size())});
  if (gap != "digest") t.content_digest = cache::content_digest_of({&t});
  cache::create_feature_file(path, t, 0).close();
}

info::FileReport whole(const std::string& path, bool deep = true) {
  const info::FileReport report = info::inspect(path, deep);
  INFO(report.problem);
  CHECK(report.problem.empty());
  return report;
}

std::string problem(const std::string& path, bool deep = false) {
  const info::FileReport report = info::inspect(path, deep);
  CHECK_FALSE(report.problem.empty());
  CHECK(report.problem.find(path) != std::string::npos);
  CHECK(info::to_text(report).find(report.problem) != std::string::npos);
  CHECK(info::to_json(report)["whole"] == false);
  return report.problem;
}

}  // namespace

TEST_CASE("info: a feature cache is recognised, and what it lacks is said", "[info][property]") {
  const TempFolder folder;
  write_features(folder / "f.h5");
  const info::FileReport report = whole(folder / "f.h5");
  CHECK(report.kind == "features");
  CHECK(report.facts["images"] == 1);
  CHECK(report.facts["canvases"][0]["width"] == 64);
  CHECK(report.provenance["entries"].size() == 1);
  write_features(folder / "partial.h5", "digest");
  CHECK(problem(folder / "partial.h5").find("not complete") != std::string::npos);
}

TEST_CASE("info: damage of bulk data is found by a deep look", "[info][error]") {
  const TempFolder folder;
  write_features(folder / "f.h5", "row");  // the tables agree with one another, the row not with its checksum
  whole(folder / "f.h5", false);
  CHECK(problem(folder / "f.h5", true).find("image 7, view 0") != std::string::npos);
  io::TensorFile file;
  const float values[2] = {1, std::numeric_limits<float>::quiet_NaN()};
  file.tensors.emplace_back("w", io::make_tensor(io::DType::kF32, {2}, values));
  io::write_safetensors(folder / "w.safetensors", file);
  CHECK(whole(folder / "w.safetensors", false).kind == "weights");
  CHECK(problem(folder / "w.safetensors", true).find("\"w\"") != std::string::npos);
}

TEST_CASE("info: negatives, weights, results, metrics, AP and annotations are told apart", "[info][property]") {
  const TempFolder folder;
  uniq::NegativesTable table;
  table.provenance = provenance();
  table.per_instance = table.per_image = 1;
  table.instances = {{1, 2, {{3, 4, 0, 0, 0.5f}}}};
  uniq::write_negatives(folder / "n.h5", table);
  CHECK(whole(folder / "n.h5").kind == "negatives");

  io::TensorFile file;
  file.tensors.emplace_back("w", io::make_tensor(io::DType::kF32, {2, 3}));
  file.metadata = {{"iuq.format", "iuq.model/1"}, {"provenance", provenance()}, {"categories", "[{}, {}]"}};
  io::write_safetensors(folder / "m.safetensors", file);
  const info::FileReport model = whole(folder / "m.safetensors");
  CHECK(model.kind == "model");
  CHECK(model.facts["values"] == 6);
  CHECK(model.facts["categories"] == 2);
  CHECK(model.provenance.is_object());

  test::write_bytes(folder / "p.json", R"([{"image_id": 1, "category_id": 2, "score": 0.5, "segmentation": {}}])");
  CHECK(whole(folder / "p.json").facts["results"] == 1);
  test::write_bytes(folder / "m.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
  CHECK(whole(folder / "m.jsonl").facts["last"]["step"] == 2);
  test::write_bytes(folder / "ap.json", R"({"format": "iuq-ap", "stats": {"AP": 0.5}})");
  CHECK(whole(folder / "ap.json").kind == "ap");
  test::write_bytes(folder / "a.json", R"({"images": [{"id": 1, "file_name": "x", "height": 4, "width": 4}],
                                           "annotations": [], "categories": [{"id": 1, "name": "a"}]})");
  CHECK(whole(folder / "a.json").facts["images"] == 1);
}

TEST_CASE("info: what is broken in a text file is said", "[info][error]") {
  const TempFolder folder;
  const auto says = [&](const std::string& name, const std::string& text, const std::string& what) {
    test::write_bytes(folder / name, text);
    INFO(name << " " << text);
    CHECK(problem(folder / name).find(what) != std::string::npos);
  };
  says("empty", "", "empty");
  says("text", "hello", "none of the files");
  says("p.json", R"([{"image_id": 1, "category_id": 2}])", "score");
  says("p.json", R"([{"image_id": 1, "catego)", "p.json");
  says("m.jsonl", "{\"step\": 1}\n{\"ste", "line 2");
  says("ap.json", R"({"format": "iuq-ap"})", "stats");
  says("x.json", R"({"x": 1})", "none of iuq's files");
  says("a.json", R"({"images": [], "annotations": 5, "categories": []})", "annotations");
  CHECK_THROWS_AS(info::inspect(folder / "none", false), Error);
}

TEST_CASE("info: cut files are never whole", "[info][error]") {
  const TempFolder folder;
  write_features(folder / "f.h5");
  io::TensorFile file;
  file.tensors.emplace_back("w", io::make_tensor(io::DType::kF32, {20}));
  io::write_safetensors(folder / "w.safetensors", file);
  for (const char* name : {"f.h5", "w.safetensors"}) {
    const std::string bytes = test::read_bytes(folder / name);
    for (size_t length = 0; length < bytes.size(); length += 37) {
      test::write_bytes(folder / "cut", bytes.substr(0, length));
      problem(folder / "cut");
    }
  }
}
