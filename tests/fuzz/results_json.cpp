// Results lists: any number of threads and any size of blocks read the same, errors included; the plain way reads what the
// general way reads; pieces are read as the whole; nothing is accepted that is not JSON.
#include <bit>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "lib/eval/detections.h"
#include "lib/eval/result_batch.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"
#include "tests/support/result_lists.h"

namespace iuq::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> out = {"[]", "[{}]", test::result_annotations()};
  Rng rng(1, "fuzz-seeds");
  for (int64_t n = 1; n < 12; ++n) {
    std::string text = "[";
    for (int64_t i = 0; i < n; ++i) text += (i > 0 ? ", " : "") + test::random_result(rng, n < 4 ? 1000 : 4);
    out.push_back(text + "]");
  }
  out.push_back(R"([{"image_id": 1, "category_id": 2, "score": 0.5, "segmentation": {"size": [64, 64], "counts": "P`2"}}])");
  out.push_back(R"([{"image_id": 1, "category_id": 2, "score": 0.5, "segmentation": {"counts": "0P`1\\\\O", "size": [64, 64]}}])");
  return out;
}

std::vector<std::string> tokens() {
  return {"{", "}", "[", "]", ",", ":", "\"", "\\", "}, {", "}]", "[{", "\\\\", "\\u00e9", "\xc3\xa9", "null", "true", "NaN",
          "-0", "-0.0", "1e999", "3.0", "1e5", "18446744073709551615", "99999999999999999999", "-9223372036854775808",
          "\"image_id\": 1", "\"category_id\": 2", "\"score\": 0.5", "\"bbox\": [1, 2, 3, 4]", "\"bbox\": []", "\"size\": [64, 64]",
          "\"segmentation\": [[1, 1, 9, 1, 9, 9]]", "\"counts\": \"P`2\"", "\"counts\": [4096]", "\"a\": [{}, {}, {}]",
          "\"a\": \"}, {\"", "\n", " ", "\xef\xbb\xbf", "[[[[[[[[[["};
}

namespace {

using namespace iuq::eval;
using nlohmann::json;

EvalConfig config_of(int kind) {
  EvalConfig config;
  if (kind % 3 == 0) config.iou_types = {IouType::kBbox};
  if (kind % 3 == 1) config.iou_types = {IouType::kSegm, IouType::kBbox};
  if (kind >= 3) {
    config.protocol = Protocol::kLvis;
    config.max_dets = {5};
  }
  return config;
}

const GroundTruth& truth_of(int kind) {
  static const std::vector<GroundTruth> all = [] {
    std::vector<GroundTruth> out;
    for (int k = 0; k < 6; ++k) out.push_back(load_ground_truth(MemoryFile(test::result_annotations()).path(), config_of(k)));
    return out;
  }();
  return all[static_cast<size_t>(kind)];
}

uint64_t bits(double value) { return std::bit_cast<uint64_t>(value); }

bool same(const Detection& a, const Detection& b, bool with_box) {
  bool ok = a.image == b.image && a.category == b.category && bits(a.score) == bits(b.score) && bits(a.area) == bits(b.area) &&
            a.counts == b.counts && a.height == b.height && a.width == b.width && a.columns == b.columns;
  for (size_t i = 0; with_box && i < a.box.size(); ++i) ok = ok && bits(a.box[i]) == bits(b.box[i]);
  return ok;
}

struct Loaded {
  Detections detections;
  std::string error;
};

Loaded load(const std::string& path, int kind, int threads, size_t block) {
  EvalConfig config = config_of(kind);
  config.threads = threads;
  Loaded out;
  try {
    out.detections = DetectionLoader(path, config, block).finish(truth_of(kind));
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kBadData, "a results list that is refused is bad data");
    out.error = e.what();
    require(out.error.find('\n') == std::string::npos, "an error is one line");
    require(out.error.find(path) != std::string::npos, "an error names the file");
  }
  return out;
}

void check_threads(const std::string& path, int kind, size_t block) {
  const Loaded one = load(path, kind, 1, size_t{1} << 20), three = load(path, kind, 3, block);
  require(one.error == three.error, "1 and 3 threads say the same error");
  const auto& a = one.detections.records;
  const auto& b = three.detections.records;
  require(a.size() == b.size(), "1 and 3 threads read as many records");
  for (size_t i = 0; i < a.size(); ++i) require(same(a[i], b[i], true), "1 and 3 threads read the same records");
}

class Sink final : public io::RecordSink {
 public:
  explicit Sink(ResultBatch* results) : results_(results) {}
  void general(size_t section, int64_t index, json& record) override {
    if (results_) results_->general(section, index, record);
    else records.push_back(record);
  }
  std::vector<json> records;

 private:
  ResultBatch* results_;
};

// Feeds the text, whole or in pieces of `block` bytes; the error or "".
std::string feed(const std::string& text, size_t block, io::RecordSink& sink, const std::string& section = "") {
  io::RecordParser parser("file", {section}, sink);
  try {
    for (size_t at = 0; at < text.size(); at += block) parser.feed(text.substr(at, block));
    return parser.finish().empty() ? "" : "missing";
  } catch (const Error& e) {
    return e.what();
  }
}

// Whether it is a list with nothing in it.
bool check_plain(const std::string& text, int kind) {
  const std::string path = "file";
  const EvalConfig config = config_of(kind);
  TextStore store;
  std::string errors[2];
  RawDetections read[2];
  for (const int general : {0, 1}) {
    ResultRules rules{path, config, [&]() -> const GroundTruth& { return truth_of(kind); }};
    ResultBatch results(rules, store);
    Sink slow(&results);
    errors[general] = feed(text, text.size() + 1, general ? static_cast<io::RecordSink&>(slow) : results);
    read[general] = std::move(results.detections);
  }
  require(errors[0] == errors[1], "the plain way and the general way say the same error");
  if (!errors[0].empty()) return false;
  require(read[0].ids.size() == read[1].ids.size(), "both ways read as many records");
  for (size_t i = 0; i < read[0].ids.size(); ++i) {
    require(read[0].ids[i][0] == read[1].ids[i][0], "both ways read the same image");
    const auto [image, category] = read[0].ids[i];
    if (!truth_of(kind).image_of.count(image)) continue;  // such a list is refused
    require(category == read[1].ids[i][1], "both ways read the same category");
    if (!truth_of(kind).category_of.count(category)) continue;  // nobody looks at it
    for (RawDetections& raw : read) {
      Detection& d = raw.records[i];
      if (!config.wants_masks()) d.counts = {}, d.height = d.width = 0, d.columns = {};
    }
    require(same(read[0].records[i], read[1].records[i], config.wants(IouType::kBbox)), "both ways read the same");
  }
  return read[0].ids.empty();
}

void check_json(const std::string& text, size_t block) {
  const json tree = json::parse(text, nullptr, false);
  for (const char* section : {"", "annotations"}) {
    Sink whole(nullptr), pieces(nullptr);
    const std::string error = feed(text, text.size() + 1, whole, section);
    require(error == feed(text, block, pieces, section), "pieces say the error of the whole");
    require(whole.records == pieces.records, "pieces have the records of the whole");
    if (error.empty()) {
      require(!tree.is_discarded(), "what is accepted is JSON");
      require((*section ? tree.at(section) : tree) == json(whole.records), "the records are those of the general parser");
    } else if (tree.is_array() && *section == '\0') {
      bool objects = true;
      for (const json& record : tree) objects = objects && record.is_object();
      require(!objects || error.find("nested deeper") != std::string::npos, "a list of objects is accepted");
    }
  }
  for (const size_t from : {size_t{0}, text.find_last_of(":,") + 1}) {
    const std::string value = text.substr(from);
    io::JsonCursor cursor(value.data(), value.data() + value.size());
    if (!cursor.skip_value()) continue;
    require(json::accept(value.data(), cursor.at()), "what the cursor passes over is JSON");
  }
}

}  // namespace
}  // namespace iuq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace iuq::fuzz;
  iuq::log::set_up("fuzz", iuq::log::Level::kQuiet);
  const std::string text(reinterpret_cast<const char*>(data), size);
  // What kind of evaluation, and how large the blocks are, follows from the input too.
  const int kind = static_cast<int>(size % 6);
  const size_t block = 1 + size * 31 % 700;
  check_json(text, 1 + size % 50);
  const bool empty = check_plain(text, kind);
  if (!empty) check_threads(MemoryFile(text).path(), kind, block);  // of an empty list there is a warning each time
  return 0;
}
