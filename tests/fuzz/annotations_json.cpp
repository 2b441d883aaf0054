// Annotation files, as training and as an evaluation read them: any number of threads and any size of blocks give the same,
// errors included; what both take, they read alike.
#include <bit>
#include <map>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/dataset_loader.h"
#include "lib/eval/ground_truth.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"

namespace iuq::fuzz {

std::vector<std::string> seeds() {
  return {R"({"images": [{"id": 1, "file_name": "a.jpg", "height": 9, "width": 8}], "annotations": [)"
          R"({"id": 1, "image_id": 1, "category_id": 2, "area": 4.5, "iscrowd": 0, "bbox": [1, 2, 3.5, 4], "segmentation": [[1, 1, 5, 1, 5.25, 5]]}, )"
          R"({"id": 2, "image_id": 1, "category_id": 2, "area": 4, "iscrowd": 1, "bbox": [1, 2, 3, 4], "segmentation": {"size": [9, 8], "counts": [70, 2]}}, )"
          R"({"segmentation": {"counts": "X2", "size": [9, 8]}, "id": 3, "image_id": 1, "category_id": 2, "area": 4, "iscrowd": 0, "bbox": [1, 2, 3, 4]}], )"
          R"("categories": [{"id": 2, "name": "x"}]})",
          R"({"categories": [{"id": 2, "name": "x", "frequency": "r", "image_count": 3}], "licenses": [1, {}], "images": [)"
          R"({"id": 1, "coco_url": "a/b/c.jpg", "height": 9, "width": 8, "neg_category_ids": [2], "not_exhaustive_category_ids": []}], )"
          R"("annotations": [{"id": 7, "image_id": 1, "category_id": 2, "area": 4.5, "iscrowd": 0, "bbox": [0, 0, 1, 1], )"
          R"("segmentation": [[1, 1, 5, 1, 5, 5], [0.333333, 1, 2, 2, 3, 1]]}]})",
          R"({"images": [], "annotations": [], "categories": []})", "[]"};
}

std::vector<std::string> tokens() {
  return {"{", "}", "[", "]", ",", ":", "\"", "\\", "}, {", "}]", "[{", "\\u00e9", "\xc3\xa9", "null", "true", "NaN", "-0", "1e999",
          "3.0", "1e5", "18446744073709551615", "-1", "\"id\": 1", "\"image_id\": 1", "\"area\": -1", "\"iscrowd\": true",
          "\"segmentation\": [[1, 1, 9, 1, 9, 9]]", "\"counts\": \"X2\"", "\"counts\": [72]", "\"size\": [9, 8]", "\"images\": [",
          "\"a\": [{}, {}, {}]", "\"a\": \"}, {\"", "\n", " ", "\xef\xbb\xbf", "[[[[[[[[[["};
}

namespace {

struct Seen {
  double area = 0;
  std::array<double, 4> box{};
  bool crowd = false;
  mask::Rle mask;
};

// The area of a crowd may be absent, and then only training measures it.
bool same(const Seen& a, const Seen& b) {
  bool ok = a.crowd == b.crowd && a.mask == b.mask && (a.crowd || std::bit_cast<uint64_t>(a.area) == std::bit_cast<uint64_t>(b.area));
  for (size_t i = 0; i < a.box.size(); ++i) ok = ok && std::bit_cast<uint64_t>(a.box[i]) == std::bit_cast<uint64_t>(b.box[i]);
  return ok;
}

struct Read {
  std::map<int64_t, Seen> annotations;  // by id
  std::string error;
  bool faultless = false;  // nothing was left out or mended
};

template <class Body>
Read guarded(const std::string& path, const Body& body) {
  Read out;
  try {
    body(out);
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kBadData, "a file that is refused is bad data");
    out.error = e.what();
    require(out.error.find('\n') == std::string::npos, "an error is one line");
    require(out.error.find(path) != std::string::npos, "an error names the file");
  }
  return out;
}

Read trained(const std::string& path, int threads, size_t block) {
  return guarded(path, [&](Read& out) {
    const data::Dataset set = data::DatasetLoader(path, {.threads = threads, .is_told = true}, block).load();
    out.faultless = set.faults().empty();
    for (size_t i = 0; i < set.annotations().size(); ++i) {
      const data::Annotation& a = set.annotations()[i];
      out.annotations[a.id] = {a.area, a.box, a.crowd, set.mask(static_cast<int64_t>(i))};
    }
  });
}

Read evaluated(const std::string& path, int threads, size_t block) {
  eval::EvalConfig config;
  config.iou_types = {eval::IouType::kSegm, eval::IouType::kBbox};
  config.threads = threads;
  return guarded(path, [&](Read& out) {
    const eval::GroundTruth truth = eval::load_ground_truth(path, config, block);
    out.faultless = truth.faults.empty();
    for (const eval::Annotation& a : truth.annotations) out.annotations[a.id] = {a.area, a.box, a.crowd, a.mask};
  });
}

void require_same(const Read& a, const Read& b, const char* what) {
  require(a.error == b.error && a.annotations.size() == b.annotations.size(), what);
  for (auto x = a.annotations.begin(), y = b.annotations.begin(); x != a.annotations.end(); ++x, ++y) {
    require(x->first == y->first && same(x->second, y->second), what);
  }
}

}  // namespace
}  // namespace iuq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace iuq::fuzz;
  iuq::log::set_up("fuzz", iuq::log::Level::kQuiet);
  const MemoryFile file(std::string(reinterpret_cast<const char*>(data), size));
  const size_t block = 1 + size * 31 % 500;
  const Read training = trained(file.path(), 1, size_t{1} << 20);
  require_same(training, trained(file.path(), 3, block), "training reads the same on 1 and 3 threads");
  const Read evaluation = evaluated(file.path(), 1, size_t{1} << 20);
  require_same(evaluation, evaluated(file.path(), 3, block), "an evaluation reads the same on 1 and 3 threads");
  // What is left out or mended is not the same for both.
  const bool faultless = training.faultless && evaluation.faultless;
  if (training.error.empty() && evaluation.error.empty() && faultless) require_same(training, evaluation, "both read the same");
  return 0;
}
