// The one reader of annotation files: training and evaluation get the same records and the same words from it, on any
// number of threads and in blocks of any size, also when the file is damaged.
#include <bit>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "lib/data/dataset_loader.h"
#include "lib/eval/ground_truth.h"
#include "tests/support/box_mask.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace {

using iuq::Rng;
using iuq::cat;
using iuq::data::Dataset;
using iuq::data::DatasetLoader;
using iuq::test::TempFolder;
using iuq::test::write_bytes;
using nlohmann::json;

constexpr int64_t kSide = 40;
constexpr int64_t kCategories = 5;

json random_segmentation(Rng& rng) {
  const double x = rng.uniform(0, 20), y = rng.uniform(0, 20), w = rng.uniform(1, 15), h = rng.uniform(1, 15);
  const iuq::mask::Rle rle = iuq::test::box_mask({x, y, w, h}, kSide, kSide);
  const auto cents = [](double v) { return std::round(100 * v) / 100; };
  switch (rng.below(5)) {
    case 0: return {{"size", {kSide, kSide}}, {"counts", iuq::mask::to_string(rle)}};
    case 1: return {{"counts", rle.counts}, {"size", {kSide, kSide}}};
    case 2: return {{x, y, x + w, y, x + w, y + h}, {1, 1, 5, 1, 5, 5.5, 1, 5}};
    default: return {{cents(x), cents(y), cents(x + w), cents(y), cents(x + w), cents(y + h)}};
  }
}

// What is sound but not as most tools write it goes the general way.
json random_annotation(Rng& rng, int64_t id, int64_t images) {
  json out = {{"id", id}, {"image_id", 3 * rng.below(images)}, {"category_id", 10 - rng.below(kCategories)},
              {"iscrowd", rng.below(2)}, {"area", std::round(1000 * rng.uniform(1, 500)) / 100},
              {"bbox", {rng.uniform(0, 9), 2, 3.25, 4}}, {"segmentation", random_segmentation(rng)}};
  switch (rng.below(6)) {
    case 0: out["iscrowd"] = rng.below(2) == 0; break;
    case 1: out["text"] = "\xc3\xa9 }, {\"id\": 1, ["; break;
    case 2: out["attributes"] = {{"list", {{{"id", 1}}, {{"id", 2}}}}, {"none", nullptr}}; break;
    default: break;
  }
  return out;
}

std::string list_of(Rng& rng, const std::vector<json>& records) {
  std::string out = "[";
  for (size_t i = 0; i < records.size(); ++i) out += (i > 0 ? rng.below(3) ? ", " : ",\n  " : "") + records[i].dump(rng.below(20) ? -1 : 1);
  return out + "]";
}

// A COCO file with its lists in any order.
std::string random_file(uint64_t seed, int64_t images, int64_t annotations) {
  Rng rng(seed, "reader-test");
  std::vector<json> image_records, category_records, annotation_records;
  for (int64_t i = 0; i < images; ++i) {
    image_records.push_back({{"id", 3 * i}, {"file_name", cat(i, ".jpg")}, {"height", kSide}, {"width", kSide}});
  }
  for (int64_t k = 0; k < kCategories; ++k) category_records.push_back({{"id", 10 - k}, {"name", cat("c", k)}});
  for (const int64_t i : rng.permutation(annotations)) annotation_records.push_back(random_annotation(rng, i + 1, images));
  const std::vector<std::string> members = {
      "\"images\": " + list_of(rng, image_records), "\"annotations\": " + list_of(rng, annotation_records),
      "\"categories\": " + list_of(rng, category_records), "\"licenses\": [{\"id\": 1}, 7]", "\"info\": {\"images\": [1]}"};
  std::string out = "{";
  const std::vector<int64_t> order = rng.permutation(static_cast<int64_t>(members.size()));
  for (size_t i = 0; i < order.size(); ++i) out += (i > 0 ? ",\n" : "") + members[static_cast<size_t>(order[i])];
  return out + "}\n";
}

std::string line_of(int64_t image, int64_t category, bool crowd, double area, const std::array<double, 4>& box, const iuq::mask::Rle& mask) {
  std::ostringstream out;
  out << std::hexfloat << image << ' ' << category << ' ' << crowd << ' ' << area;
  for (const double v : box) out << ' ' << v;
  out << ' ' << mask.height << 'x' << mask.width << ' ' << iuq::mask::to_string(mask);
  return out.str();
}

using Lines = std::map<int64_t, std::string>;  // by annotation id; the error under -1

Lines error_of(const iuq::Error& e) { return {{-1, cat("error ", static_cast<int>(e.code()), ": ", e.what())}}; }

// As training sees the file.
Lines trained(const std::string& path, int threads, size_t block) {
  try {
    const Dataset set = DatasetLoader(path, {.threads = threads}, block).load();
    Lines out;
    for (size_t i = 0; i < set.annotations().size(); ++i) {
      const auto& a = set.annotations()[i];
      out[a.id] = line_of(a.image_id, set.categories()[static_cast<size_t>(a.category)].id, a.crowd, a.area, a.box,
                          set.mask(static_cast<int64_t>(i)));
    }
    return out;
  } catch (const iuq::Error& e) {
    return error_of(e);
  }
}

// As an evaluation sees it.
Lines evaluated(const std::string& path, int threads, size_t block) {
  iuq::eval::EvalConfig config;
  config.iou_types = {iuq::eval::IouType::kSegm, iuq::eval::IouType::kBbox};
  config.threads = threads;
  try {
    const iuq::eval::GroundTruth truth = iuq::eval::load_ground_truth(path, config, block);
    Lines out;
    for (const auto& a : truth.annotations) {
      out[a.id] = line_of(truth.images[a.image].id, truth.categories[a.category].id, a.crowd, a.area, a.box, a.mask);
    }
    return out;
  } catch (const iuq::Error& e) {
    return error_of(e);
  }
}

// The same on 1, 2 and 7 threads, in small blocks and large ones; returns it.
template <class Read>
Lines all_ways(const Read& read, const std::string& path) {
  const Lines want = read(path, 1, size_t{1} << 20);
  for (const int threads : {1, 2, 7}) {
    for (const size_t block : {150, 1000, 20000}) {
      CAPTURE(threads, block);
      const Lines got = read(path, threads, block);
      REQUIRE((got == want));
    }
  }
  return want;
}

}  // namespace

TEST_CASE("reader: training and evaluation read the same records, on any number of threads", "[data][property]") {
  const TempFolder folder;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    CAPTURE(seed);
    write_bytes(folder / "set.json", random_file(seed, 20, 150));
    const Lines training = all_ways(trained, folder / "set.json"), evaluation = all_ways(evaluated, folder / "set.json");
    CAPTURE(training.begin()->second, evaluation.begin()->second);
    REQUIRE(training.size() == 150);
    REQUIRE((training == evaluation));
  }
}

TEST_CASE("reader: a file of several megabytes is read alike on any number of threads", "[data][property]") {
  const TempFolder folder;
  write_bytes(folder / "set.json", random_file(99, 300, 20000));
  const Lines one = trained(folder / "set.json", 1, size_t{1} << 20);
  REQUIRE(one.size() == 20000);
  REQUIRE((trained(folder / "set.json", 4, size_t{1} << 20) == one));
  REQUIRE((evaluated(folder / "set.json", 3, size_t{1} << 20) == one));
}

TEST_CASE("reader: of a damaged file the same fault is told on any number of threads", "[data][error]") {
  const TempFolder folder;
  const std::string alphabet = "{}[]:,\"\\01.-etn \n\xff";
  int broken = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed, "reader-damage");
    std::string text = random_file(seed, 10, 40);
    for (int64_t n = 1 + rng.below(3); n > 0; --n) {
      const auto at = static_cast<size_t>(rng.below(static_cast<int64_t>(text.size())));
      const char c = alphabet[static_cast<size_t>(rng.below(static_cast<int64_t>(alphabet.size())))];
      if (rng.below(3) == 0) text.erase(at, 1);
      else text[at] = c;
    }
    write_bytes(folder / "set.json", text);
    const Lines training = all_ways(trained, folder / "set.json");
    all_ways(evaluated, folder / "set.json");
    broken += training.count(-1) > 0;
  }
  CHECK(broken > 20);
}

TEST_CASE("reader: the first faulty record is named, and in the same words where training and evaluation have the same rule", "[data][error]") {
  const TempFolder folder;
  const json whole = json::parse(random_file(7, 20, 200));
  const std::vector<std::pair<const char*, json>> faults = {
      {"id", "x"}, {"id", nullptr}, {"image_id", 1.5}, {"category_id", json::array()}, {"segmentation", 5},
      {"segmentation", {{1, 2, 3, "4", 5, 6}}}, {"segmentation", {{"size", {40}}, {"counts", "0"}}},
      {"segmentation", {{"size", {40, 40}}, {"counts", {5, -1}}}}, {"segmentation", {{"size", {40, 40}}, {"counts", {5, 6}}}},
      {"segmentation", {{"size", {40, 40}}, {"counts", "~~"}}}, {"image_id", ""}};
  for (const auto& [key, value] : faults) {
    json set = whole;
    for (const size_t at : {size_t{63}, size_t{64}, size_t{190}}) set["annotations"][at][key] = value;
    write_bytes(folder / "set.json", set.dump());
    const Lines training = all_ways(trained, folder / "set.json"), evaluation = all_ways(evaluated, folder / "set.json");
    CAPTURE(key, training.begin()->second, evaluation.begin()->second);
    REQUIRE(training.count(-1) == 1);
    CHECK(training.at(-1).find(cat("annotations[63].", key)) != std::string::npos);
    CHECK((training == evaluation));
  }
}
