// Results are read the same on any number of threads, in blocks of any size, the plain way or the general one.
#include <zlib.h>

#include <sstream>

#include "lib/base/error.h"
#include "lib/eval/detections.h"
#include "lib/eval/result_sink.h"
#include "lib/io/coco_json.h"
#include "tests/support/catch.h"
#include "tests/support/result_lists.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace iuq::eval;
using iuq::Rng;
using iuq::test::TempFolder;
using iuq::test::write_bytes;

constexpr size_t kMegabyte = size_t{1} << 20;

std::string line_of(const Detection& d) {
  std::ostringstream out;
  out << std::hexfloat << d.image << ' ' << d.category << ' ' << d.score << ' ' << d.area << ' ' << d.counts << ' ' << d.height
      << 'x' << d.width;
  for (const double v : d.box) out << ' ' << v;
  for (const uint32_t v : d.columns) out << ' ' << v;
  return out.str();
}

// All there is, or the error.
std::vector<std::string> load(const std::string& path, const GroundTruth& truth, EvalConfig config, int threads, size_t block) {
  config.threads = threads;
  std::vector<std::string> lines;
  try {
    const Detections detections = DetectionLoader(path, config, block).finish(truth);
    for (const Detection& d : detections.records) lines.push_back(line_of(d));
  } catch (const iuq::Error& e) {
    lines.push_back(iuq::cat("error ", static_cast<int>(e.code()), ": ", e.what()));
  }
  return lines;
}

struct Folder {
  TempFolder folder;
  EvalConfig config;
  GroundTruth truth;

  explicit Folder(Protocol protocol = Protocol::kCoco) {
    config.iou_types = {IouType::kSegm, IouType::kBbox};
    config.protocol = protocol;
    if (protocol == Protocol::kLvis) config.max_dets = {300};
    write_bytes(folder / "gt.json", iuq::test::result_annotations());
    truth = load_ground_truth(folder / "gt.json", config);
  }
  // The same on 1, 2 and 7 threads; returns it.
  std::vector<std::string> load_all_ways(const std::string& text, size_t block) {
    write_bytes(folder / "dt.json", text);
    const auto one = load(folder / "dt.json", truth, config, 1, block);
    REQUIRE_FALSE(one.empty());
    for (const int threads : {2, 7}) {
      const auto more = load(folder / "dt.json", truth, config, threads, block);
      CAPTURE(threads, block, one.back(), more.back());
      REQUIRE((more == one));
    }
    return one;
  }
};

std::vector<std::string> random_records(uint64_t seed, size_t bytes, int64_t odd_every) {
  Rng rng(seed, "results");
  std::vector<std::string> records;
  for (size_t size = 0; size < bytes; size += records.back().size() + 2) {
    records.push_back(iuq::test::random_result(rng, records.empty() ? INT64_MAX : odd_every));
  }
  return records;
}

std::string join(const std::vector<std::string>& records) {
  std::string text = "[";
  for (const std::string& record : records) text += (text.size() > 1 ? ", " : "") + record;
  return text + "]\n";
}

bool is_error(const std::vector<std::string>& lines, const std::string& part) {
  CAPTURE(lines.size(), lines.back(), part);
  return lines.size() == 1 && lines[0].rfind("error 65", 0) == 0 && lines[0].find(part) != std::string::npos;
}

std::string zip(const std::string& text, const std::string& path) {
  gzFile file = gzopen(path.c_str(), "wb1");
  REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) == static_cast<int>(text.size()));
  gzclose(file);
  return iuq::test::read_bytes(path);
}

}  // namespace

TEST_CASE("loading: plain and odd results of several megabytes are the same on 1, 2 and 7 threads", "[eval][property]") {
  for (const Protocol protocol : {Protocol::kCoco, Protocol::kLvis}) {
    Folder folder(protocol);
    for (const int64_t odd_every : {1000000, 500, 3}) {
      CAPTURE(odd_every);
      const auto records = random_records(7, 4 * kMegabyte, odd_every);
      const auto lines = folder.load_all_ways(join(records), kMegabyte);
      if (protocol == Protocol::kLvis) continue;  // it keeps 300 an image
      const size_t unlisted = records.size() - lines.size();
      CHECK(unlisted < records.size() / (static_cast<size_t>(odd_every) + 1) + 1);
    }
  }
}

TEST_CASE("loading: the size of a block changes nothing", "[eval][property]") {
  Folder folder;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const std::string text = join(random_records(seed, 30000, 5));
    const auto want = folder.load_all_ways(text, kMegabyte);
    for (const size_t block : {100, 333, 1000, 4096}) REQUIRE((folder.load_all_ways(text, block) == want));
  }
}

TEST_CASE("loading: the first error of the file is told, with its index, key or line, on any number of threads", "[eval][error]") {
  Folder folder;
  const auto records = random_records(9, 3 * kMegabyte, 100);
  const auto with = [&](size_t at, const std::string& bad, size_t later = 0) {
    auto copy = records;
    copy[at] = bad;
    if (later > 0) copy[later] = "{\"image_id\": oops}";
    return join(copy);
  };
  const size_t n = records.size();
  const std::string mask = R"("segmentation": {"size": [64, 64], "counts": "PPP1"})";
  for (const size_t at : {size_t{1}, n / 3, n / 2, n - 1}) {
    const size_t later = at + 1 < n ? n - 1 : 0;
    const std::string index = iuq::cat("[", at, "].");
    CHECK(is_error(folder.load_all_ways(with(at, R"({"image_id": 1, "category_id": 1, "score": "x"})", later), kMegabyte),
                   index + "score"));
    CHECK(is_error(folder.load_all_ways(with(at, R"({"image_id": 1, "category_id": 1, "score": 1, "bbox": [1]})", later), kMegabyte),
                   index + "bbox"));
    CHECK(is_error(folder.load_all_ways(with(at, R"({"image_id": 1, "category_id": 1, "score": 1, "bbox": [1,1,1,1], )" + mask + "}",
                                             later), kMegabyte), index + "segmentation"));
    CHECK(is_error(folder.load_all_ways(with(at, R"({"category_id": 1, "score": 1})", later), kMegabyte), index + "image_id"));
    CHECK(is_error(folder.load_all_ways(with(at, R"({"image_id": 4.5})", later), kMegabyte), index + "image_id"));
    CHECK(is_error(folder.load_all_ways(with(at, R"({"image_id": 77, "category_id": 1, "score": 1, "bbox": [1,1,1,1], )" +
                                                     std::string(R"("segmentation": [[1,1,5,1,5,5]]})")), kMegabyte),
                   index + "image_id is 77"));
    CHECK(is_error(folder.load_all_ways(with(at, "\n\n{\"image_id\": NaN}", later), kMegabyte), "NaN"));
    CHECK(is_error(folder.load_all_ways(with(at, "17", later), kMegabyte), iuq::cat("record ", at, " is not an object")));
    CHECK(is_error(folder.load_all_ways(with(at, "{\"a\": \"\x01\"}", later), kMegabyte), "line "));
  }
  const std::string whole = join(records);
  for (const size_t size : {size_t{1}, size_t{1000}, kMegabyte, 2 * kMegabyte + 5, whole.size() - 3}) {
    CHECK(is_error(folder.load_all_ways(whole.substr(0, size), kMegabyte), "truncated"));
  }
}

TEST_CASE("loading: damaged gzip behind a broken record does not hide it", "[eval][error]") {
  Folder folder;
  auto records = random_records(11, 4 * kMegabyte, 100);
  std::string packed = zip(join(records), folder.folder / "a.gz");
  CHECK(folder.load_all_ways(packed, kMegabyte).size() > 100);
  CHECK(is_error(folder.load_all_ways(packed.substr(0, packed.size() - 50), kMegabyte), "truncated"));
  records[3] = "{\"image_id\": 1, \"category_id\": 1, \"score\": null}";
  packed = zip(join(records), folder.folder / "a.gz");
  for (int i = 0; i < 5; ++i) {
    CHECK(is_error(folder.load_all_ways(packed.substr(0, packed.size() * 3 / 4), 100000), "[3].score"));
  }
}

TEST_CASE("loading: many threads at a small file, again and again", "[eval][property]") {
  // Threads that find nothing to do end while the first still reads.
  Folder folder;
  const std::string text = join(random_records(12, 20000, 4));
  write_bytes(folder.folder / "dt.json", text);
  const auto want = load(folder.folder / "dt.json", folder.truth, folder.config, 1, kMegabyte);
  for (int i = 0; i < 100; ++i) {
    REQUIRE((load(folder.folder / "dt.json", folder.truth, folder.config, 7, kMegabyte) == want));
    REQUIRE((load(folder.folder / "dt.json", folder.truth, folder.config, 7, 300) == want));
  }
}

TEST_CASE("loading: a loader that is not asked to finish goes away quietly", "[eval][property]") {
  Folder folder;
  EvalConfig config = folder.config;
  config.threads = 4;
  write_bytes(folder.folder / "dt.json", join(random_records(13, 2 * kMegabyte, 3)));
  for (int i = 0; i < 10; ++i) CHECK_NOTHROW(DetectionLoader(folder.folder / "dt.json", config));
}

namespace {

/// Has records read the general way, always.
class GeneralOnly final : public iuq::io::RecordSink {
 public:
  explicit GeneralOnly(ResultSink& sink) : sink_(sink) {}
  void general(size_t section, int64_t index, nlohmann::json& record) override { sink_.general(section, index, record); }

 private:
  ResultSink& sink_;
};

// What counts of a results list, one line a record, or the error.
std::vector<std::string> harvest(const std::string& path, const GroundTruth& truth, const EvalConfig& config, bool general) {
  TextStore store;
  Harvest harvest;
  ResultRules rules{path, config, [&]() -> const GroundTruth& { return truth; }};
  ResultSink sink(rules, harvest, store);
  GeneralOnly slow(sink);
  std::vector<std::string> lines;
  try {
    iuq::io::read_records(path, {""}, general ? static_cast<iuq::io::RecordSink&>(slow) : sink);
  } catch (const iuq::Error& e) {
    return {e.what()};
  }
  for (size_t i = 0; i < harvest.records.size(); ++i) {
    Detection d = harvest.records[i];
    const auto [image, category] = harvest.ids[i];
    if (!truth.category_of.count(category)) continue;  // those are never looked at
    if (!config.wants(IouType::kBbox)) d.box = {};
    if (!config.wants_masks()) d.counts = {}, d.height = d.width = 0, d.columns = {};
    lines.push_back(iuq::cat(image, "/", category, ": ", line_of(d)));
  }
  return lines;
}

}  // namespace

TEST_CASE("loading: the plain way and the general way read the same", "[eval][property]") {
  for (const bool with_box : {true, false}) {
    for (const auto& types : {std::vector{IouType::kSegm}, {IouType::kBbox}, {IouType::kSegm, IouType::kBbox}}) {
      Folder folder;
      folder.config.iou_types = types;
      auto records = random_records(14, 200000, 4);
      for (std::string& record : records) {
        if (with_box) continue;
        auto value = nlohmann::json::parse(record);
        if (!value["segmentation"].is_object() || !value["segmentation"]["counts"].is_string()) value["category_id"] = 99;
        value.erase("bbox");
        record = value.dump();
      }
      write_bytes(folder.folder / "dt.json", join(records));
      const auto fast = harvest(folder.folder / "dt.json", folder.truth, folder.config, false);
      const auto slow = harvest(folder.folder / "dt.json", folder.truth, folder.config, true);
      CAPTURE(with_box, types.size(), fast.size(), fast[0], slow[0]);
      REQUIRE(fast.size() > 300);
      REQUIRE((fast == slow));
    }
  }
}
