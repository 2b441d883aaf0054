#include "lib/data/annotations.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/rng.h"
#include "lib/io/atomic_file.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using iuq::ErrorCode;
using iuq::data::Dataset;
using iuq::test::fails_with;
using iuq::test::TempFolder;
using nlohmann::json;

json annotation(int64_t id, int64_t image, int64_t category, json segmentation) {
  return {{"id", id}, {"image_id", image}, {"category_id", category}, {"area", 9.5}, {"bbox", {1, 2, 3, 4}},
          {"iscrowd", 0}, {"segmentation", std::move(segmentation)}};
}

/// Two images and a third without annotations; categories 7, 3, 90 in that order.
json small_set() {
  const json square = {{2, 2, 6, 2, 6, 6, 2, 6}};
  json set;
  set["annotations"] = {annotation(11, 502, 90, square), annotation(10, 501, 3, square),
                        annotation(12, 502, 7, {{"size", {8, 10}}, {"counts", {70, 10}}})};
  set["annotations"][2]["iscrowd"] = 1;
  set["images"] = {{{"id", 501}, {"file_name", "a.jpg"}, {"height", 20}, {"width", 30}},
                   {{"id", 502}, {"file_name", "b.jpg"}, {"height", 8}, {"width", 10}},
                   {{"id", 400}, {"file_name", "c.jpg"}, {"height", 8}, {"width", 10}}};
  set["categories"] = {{{"id", 7}, {"name", "cat"}}, {{"id", 3}, {"name", "dog"}}, {{"id", 90}, {"name", "emu"}}};
  return set;
}

Dataset load(const json& set, bool strict = false) {
  const TempFolder folder;
  return Dataset::load(folder.write("set.json", set.dump()), {.strict = strict});
}

/// Loads small_set() after `spoil`, strictly, and checks that the error names the file and all `parts`.
bool rejects(const std::vector<std::string>& parts, const std::function<void(json&)>& spoil) {
  json set = small_set();
  spoil(set);
  std::vector<std::string> all = parts;
  all.push_back("set.json");
  return fails_with(ErrorCode::kBadData, all, [&] { load(set, true); });
}

}  // namespace

TEST_CASE("annotations: ids with gaps become ranks, annotations are grouped by image", "[data][property]") {
  const Dataset set = load(small_set());
  REQUIRE(set.categories().size() == 3);
  CHECK(set.categories()[0].name == "dog");
  CHECK(set.category_index(90) == 2);
  CHECK(set.category_index(4) == -1);
  CHECK(set.image_index(400) == 2);
  CHECK(set.image_index(401) == -1);
  REQUIRE(set.annotations().size() == 3);
  CHECK(set.annotations()[0].id == 10);
  CHECK(set.annotations()[1].id == 11);
  CHECK(set.annotations()[1].category == 2);
  const auto second = set.annotations_of(set.images()[1]);
  REQUIRE(second.size() == 2);
  CHECK(second[1].id == 12);
  CHECK(second[1].crowd);
  CHECK(set.annotations_of(set.images()[2]).empty());
  CHECK_FALSE(set.is_lvis());
}

TEST_CASE("annotations: polygons, uncompressed and compressed RLE give the masks of the mask area", "[data][property]") {
  json spec = small_set();
  iuq::mask::Rle run{8, 10, {70, 10}};
  spec["annotations"].push_back(annotation(13, 502, 7, {{"size", {8, 10}}, {"counts", iuq::mask::to_string(run)}}));
  const Dataset set = load(spec);
  CHECK(set.mask(0) == iuq::mask::from_polygons({{2, 2, 6, 2, 6, 6, 2, 6}}, 20, 30));
  CHECK(iuq::mask::area(set.mask(0)) == 16);
  CHECK(set.mask(2) == run);
  CHECK(set.mask(3) == run);
  CHECK(set.polygons(0)->front().size() == 8);
  CHECK_FALSE(set.polygons(2));
}

TEST_CASE("annotations: packed polygons return every coordinate to the bit", "[data][property]") {
  const std::vector<std::vector<double>> cases = {
      {1.25, 2.5, 3.01, 4.99, 0.07, 7.0},                // whole hundredths
      {1.0 / 3, 2.5, 3.01, 4.99, 0.07, 7.0},             // not
      {-0.0, 0.29, 19.999, 1e-300, 0.1 + 0.2, 7.0},      // signed zero, subnormal, a sum that is not 0.3
      {-1.5, 12.34, 29.99, 0.57, 0.58, 1.15, 4.35, 9.2}};
  for (const auto& polygon : cases) {
    json spec = small_set();
    spec["annotations"][1]["segmentation"] = {polygon, {0, 0, 5, 0, 5, 5}};
    const Dataset set = load(spec);
    const auto polygons = set.polygons(0).value();
    REQUIRE(polygons.size() == 2);
    const auto& back = polygons[0];
    REQUIRE(back.size() == polygon.size());
    for (size_t i = 0; i < polygon.size(); ++i) {
      CHECK(back[i] == polygon[i]);
      CHECK(std::signbit(back[i]) == std::signbit(polygon[i]));
    }
  }
}

TEST_CASE("annotations: what may be absent is made up for", "[data][property]") {
  json spec = small_set();
  for (const char* key : {"iscrowd", "area", "bbox"}) spec["annotations"][1].erase(key);
  const Dataset set = load(spec);
  CHECK_FALSE(set.annotations()[0].crowd);
  CHECK(set.annotations()[0].area == 16);
  CHECK(set.annotations()[0].box == std::array<double, 4>{2, 2, 4, 4});
}

TEST_CASE("annotations: LVIS fields are kept", "[data][property]") {
  json spec = small_set();
  spec["images"][0].erase("file_name");
  spec["images"][0]["coco_url"] = "http://host/images/train2017/000000391895.jpg";
  spec["images"][0]["neg_category_ids"] = {90, 3};
  spec["images"][1]["not_exhaustive_category_ids"] = {7};
  spec["categories"][0]["frequency"] = "r";
  spec["categories"][0]["image_count"] = 5;
  const Dataset set = load(spec);
  CHECK(set.is_lvis());
  CHECK(set.images()[0].file_name == "train2017/000000391895.jpg");
  CHECK(set.images()[0].negative == std::vector<int64_t>{0, 2});
  CHECK(set.images()[1].not_exhaustive == std::vector<int64_t>{1});
  CHECK(set.categories()[1].frequency == "r");
  CHECK(set.categories()[1].image_count == 5);
  CHECK(set.categories()[0].image_count == -1);
}

TEST_CASE("annotations: a wrong file is refused, naming section, record, id, key and value", "[data][error]") {
  const auto at = [](json& set, size_t i) -> json& { return set["annotations"][i]; };
  CHECK(rejects({"annotations[0].area is \"big\", must be a number >= 0 (id 11)"}, [&](json& s) { at(s, 0)["area"] = "big"; }));
  CHECK(rejects({"annotations[0].area is 0 or negative (id 11)"}, [&](json& s) { at(s, 0)["area"] = -1; }));
  CHECK(rejects({"annotations[1].id is \"x\", must be an integer"}, [&](json& s) { at(s, 1)["id"] = "x"; }));
  CHECK(rejects({"annotations[1].id is 18446744073709551615"}, [&](json& s) { at(s, 1)["id"] = UINT64_MAX; }));
  CHECK(rejects({"annotations[1].image_id is of no image (id 10)"}, [&](json& s) { at(s, 1)["image_id"] = 9; }));
  CHECK(rejects({"annotations[2].category_id is of no category (id 12)"}, [&](json& s) { at(s, 2)["category_id"] = 4; }));
  CHECK(rejects({"annotations[1].category_id is missing", "(id 10)"}, [&](json& s) { at(s, 1).erase("category_id"); }));
  CHECK(rejects({"annotations[1].iscrowd is \"no\", must be true, false or a number (id 10)"}, [&](json& s) { at(s, 1)["iscrowd"] = "no"; }));
  CHECK(rejects({"annotations[1].bbox is [1,2,3], must be four numbers", "(id 10)"}, [&](json& s) { at(s, 1)["bbox"] = {1, 2, 3}; }));
  CHECK(rejects({"annotations[1].bbox", "(id 10)"}, [&](json& s) { at(s, 1)["bbox"] = {1, 2, "3", 4}; }));
  CHECK(rejects({"annotations[1].bbox is empty or of negative size (id 10)"}, [&](json& s) { at(s, 1)["bbox"] = {1, 2, -3, 4}; }));
  CHECK(rejects({"annotations[1].id is that of an earlier annotation (id 11)"}, [&](json& s) { at(s, 1)["id"] = 11; }));
  CHECK(rejects({"images", "id 501 occurs twice"}, [](json& s) { s["images"][1]["id"] = 501; }));
  CHECK(rejects({"categories", "id 3 occurs twice"}, [](json& s) { s["categories"][0]["id"] = 3; }));
  CHECK(rejects({"images[0] has no height and width", "(id 501)", "--images"}, [](json& s) { s["images"][0]["height"] = 0; }));
  CHECK(rejects({"images[0].width is 20.5"}, [](json& s) { s["images"][0]["width"] = 20.5; }));
  CHECK(rejects({"images[0]", "pixels"}, [](json& s) { s["images"][0]["width"] = s["images"][0]["height"] = 1 << 20; }));
  CHECK(rejects({"images[0].file_name is missing"}, [](json& s) { s["images"][0].erase("file_name"); }));
  CHECK(rejects({"images[0].file_name is \"\", must be a string that is not empty"}, [](json& s) { s["images"][0]["file_name"] = ""; }));
  CHECK(rejects({"categories[1].name is [5]"}, [](json& s) { s["categories"][1]["name"] = {5}; }));
  CHECK(rejects({"categories[1].frequency is \"z\", must be \"r\", \"c\" or \"f\""}, [](json& s) { s["categories"][1]["frequency"] = "z"; }));
  CHECK(rejects({"images[0] has an unknown category in neg_category_ids"}, [](json& s) { s["images"][0]["neg_category_ids"] = {8}; }));
  CHECK(rejects({"\"categories\" is empty"}, [](json& s) { s["categories"] = json::array(); }));
  CHECK(rejects({"no list \"annotations\""}, [](json& s) { s.erase("annotations"); }));
  CHECK(rejects({"\"annotations\" that is not a list"}, [](json& s) { s["annotations"] = 1; }));
}

TEST_CASE("annotations: a wrong segmentation is refused, naming the annotation", "[data][error]") {
  const auto with = [](const json& segmentation) {
    return [segmentation](json& set) { set["annotations"][2]["segmentation"] = segmentation; };
  };
  const std::string id = "(id 12)", at = "annotations[2].segmentation";
  CHECK(rejects({id, at + " has no polygon of three points"}, with({{1, 2, 3, 4, 5}})));
  CHECK(rejects({id, at + " has a polygon of fewer than three points"}, with({{1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6, 7}})));
  CHECK(rejects({id, at + " has no polygon of three points"}, with({{1, 2, 3, 4}})));
  CHECK(rejects({id, at + "[0] is 1"}, with({1, 2, 3, 4, 5, 6})));
  CHECK(rejects({id, at + "[0][5] is \"x\""}, with({{1, 2, 3, 4, 5, "x"}})));
  CHECK(rejects({id, at + " is missing or empty"}, with(json::array())));
  CHECK(rejects({id, at + " is \"poly\""}, with("poly")));
  CHECK(rejects({id, at + " is missing or empty"}, with(nullptr)));
  CHECK(rejects({id, at, "1e+300", "far outside"}, with({{1, 2, 3, 4, 5, 1e300}})));
  CHECK(rejects({id, at, "is [10, 8]", "image is [8, 10]"}, with({{"size", {10, 8}}, {"counts", {80}}})));
  CHECK(rejects({id, at + ".size"}, with({{"size", {8}}, {"counts", {80}}})));
  CHECK(rejects({id, at + ".size"}, with({{"size", {8, -10}}, {"counts", {80}}})));
  CHECK(rejects({id, at + ".counts is missing"}, with({{"size", {8, 10}}})));
  CHECK(rejects({id, at + ".counts[1] is -1"}, with({{"size", {8, 10}}, {"counts", {81, -1}}})));
  CHECK(rejects({id, at + ".counts[0] is 4294967296"}, with({{"size", {8, 10}}, {"counts", {4294967296}}})));
  CHECK(rejects({id, at + ": "}, with({{"size", {8, 10}}, {"counts", {70, 11}}})));
  CHECK(rejects({id, at + ": "}, with({{"size", {8, 10}}, {"counts", "~~~"}})));
  CHECK(rejects({id, at + ": "}, with({{"size", {8, 10}}, {"counts", "6"}})));
  CHECK(rejects({id, at + ": "}, with({{"size", {8, 10}}, {"counts", ""}})));
}

TEST_CASE("annotations: a file of COCO's make takes far less memory than its text", "[data][slow]") {
  const TempFolder folder;
  const std::string path = folder / "big.json";
  {
    std::ofstream out(path);
    out << "{\"images\": [";
    for (int i = 0; i < 10000; ++i) {
      out << (i ? "," : "") << "{\"id\": " << i << ", \"file_name\": \"" << i << ".jpg\", \"height\": 480, \"width\": 640}";
    }
    out << "], \"annotations\": [";
    iuq::Rng rng(1, "big");
    for (int i = 0; i < 100000; ++i) {
      out << (i ? "," : "") << "{\"id\": " << i << ", \"image_id\": " << rng.below(10000)
          << ", \"category_id\": 1, \"iscrowd\": 0, \"area\": 1000.5, \"bbox\": [1.25, 2.5, 100.75, 50.5], "
          << "\"segmentation\": [[" << rng.below(480);
      for (int k = 0; k < 49; ++k) out << ", " << rng.below(479) << "." << 10 + rng.below(90);
      out << "]]}";
    }
    out << "], \"categories\": [{\"id\": 1, \"name\": \"a\"}]}";
  }
  const Dataset set = Dataset::load(path);
  CHECK(set.annotations().size() == 100000);
  CHECK(set.bytes() < static_cast<int64_t>(std::filesystem::file_size(path)) * 7 / 10);
}

TEST_CASE("annotations: COCO's own files load with their known counts", "[data][golden]") {
  const std::string folder = IUQ_SHARED_DIR "/data/coco-mini/annotations/";
  if (!iuq::io::exists(folder)) {
    WARN("skipped: no coco-mini");
    return;
  }
  const auto count = [](const Dataset& set, const auto& is) {
    return std::count_if(set.annotations().begin(), set.annotations().end(), is);
  };
  const auto crowd = [](const auto& a) { return a.crowd; };
  const Dataset train = Dataset::load(folder + "instances_train.json");
  const Dataset val = Dataset::load(folder + "instances_val.json");
  CHECK(train.images().size() == 69);
  CHECK(train.annotations().size() == 677);
  CHECK(count(train, crowd) == 9);
  CHECK(train.categories().size() == 80);
  CHECK(train.categories().back().id == 90);
  CHECK(val.images().size() == 47);
  CHECK(val.annotations().size() == 469);
  CHECK(count(val, crowd) == 7);
  CHECK(train.annotations_of(train.images()[static_cast<size_t>(train.image_index(508))]).empty());
  for (int64_t i = 0; i < 677; ++i) {
    // A file's area is that of the polygon, which the rasterised mask approaches to about its perimeter.
    const auto& a = train.annotations()[static_cast<size_t>(i)];
    const double rasterised = iuq::mask::area(train.mask(i));
    CHECK(std::abs(rasterised - a.area) <= 2 * (a.box[2] + a.box[3]) + 0.1 * a.area + 8);
  }
}
