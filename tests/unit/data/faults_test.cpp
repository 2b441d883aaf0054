// What other tools write and their peers pass over: left out or mended, counted by kind, and an error when strict.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/data/annotations.h"
#include "lib/data/image.h"
#include "lib/data/image_check.h"
#include "lib/io/atomic_file.h"
#include "lib/io/record_rules.h"
#include "tests/support/tiny_dataset.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using iuq::cat;
using iuq::ErrorCode;
using iuq::data::Dataset;
using iuq::io::Fault;
using iuq::test::fails_with;
using iuq::test::TempFolder;
using nlohmann::json;

const json kSquare = {{2, 2, 6, 2, 6, 6, 2, 6}};

// Two images, a square in each and a third one.
json sound() {
  json set;
  set["images"] = {{{"id", 1}, {"file_name", "sub/a.png"}, {"height", 8}, {"width", 10}},
                   {{"id", 2}, {"file_name", "b.png"}, {"height", 8}, {"width", 10}}};
  set["categories"] = {{{"id", 1}, {"name", "cat"}}, {{"id", 2}, {"name", "dog"}}};
  for (int id = 1; id <= 3; ++id) {
    set["annotations"].push_back({{"id", id}, {"image_id", 1 + id / 3}, {"category_id", 1}, {"area", 9.5}, {"bbox", {1, 2, 3, 4}},
                                  {"iscrowd", 0}, {"segmentation", kSquare}});
  }
  return set;
}

struct Spoilt {
  Fault fault;
  int64_t left;  // annotations that are left of the three
  std::function<void(json& set)> spoil;
};

std::function<void(json&)> with(const char* key, const json& value) {
  return [key, value](json& set) { set["annotations"][1][key] = value; };
}
std::function<void(json&)> without(const char* key) {
  return [key](json& set) { set["annotations"][1].erase(key); };
}

const std::vector<Spoilt> kSpoilt = {
    {Fault::kNoMask, 2, with("segmentation", json::array())},
    {Fault::kNoMask, 2, with("segmentation", json::array({json::array()}))},
    {Fault::kNoMask, 2, with("segmentation", nullptr)},
    {Fault::kNoMask, 2, with("segmentation", json::object())},
    {Fault::kNoMask, 2, with("segmentation", "")},
    {Fault::kNoMask, 2, without("segmentation")},
    {Fault::kThinPart, 3, with("segmentation", {kSquare[0], {1, 2}})},
    {Fault::kThinPart, 3, with("segmentation", {{1, 2, 3, 4}, kSquare[0]})},
    {Fault::kThinPart, 3, with("segmentation", {kSquare[0], json::array()})},
    {Fault::kThinPart, 3, with("segmentation", {kSquare[0], {1, 2, 3, 4, 5, 6, 7}})},
    {Fault::kBadArea, 3, with("area", -1)},
    {Fault::kBadArea, 3, with("area", -0.5)},
    {Fault::kBadBox, 3, with("bbox", json::array())},
    {Fault::kBadBox, 3, with("bbox", {1, 2, -3, 4})},
    {Fault::kRepeatedId, 3, with("id", 1)},
    {Fault::kRepeatedId, 3, with("id", 3.0)},
    {Fault::kUnknownImage, 2, with("image_id", 77)},
    {Fault::kUnknownImage, 2, with("image_id", "1")},
    {Fault::kUnknownCategory, 2, with("category_id", 0)},
    {Fault::kUnknownCategory, 2, with("category_id", 3)},
    {Fault::kUnknownListed, 3, [](json& set) { set["images"][0]["neg_category_ids"] = {2, 8}; }},
    {Fault::kUnknownListed, 3, [](json& set) { set["images"][1]["not_exhaustive_category_ids"] = {0}; }},
};

Dataset load_spoilt(const json& set, bool strict) {
  const TempFolder folder;
  return Dataset::load(folder.write("set.json", set.dump()), {.strict = strict, .is_told = false});
}

}  // namespace

TEST_CASE("annotations: what peers pass over is left out or mended, counted, and refused when strict", "[data][property]") {
  for (size_t i = 0; i < kSpoilt.size(); ++i) {
    CAPTURE(i);
    json set = sound();
    kSpoilt[i].spoil(set);
    const Dataset read = load_spoilt(set, false);
    CHECK(std::ssize(read.annotations()) == kSpoilt[i].left);
    CHECK(read.faults().of(kSpoilt[i].fault).count >= 1);
    for (const auto& annotation : read.annotations()) {
      CHECK(annotation.area >= 0);
      CHECK(annotation.box[2] > 0);
    }
    if (kSpoilt[i].fault == Fault::kThinPart) CHECK(iuq::mask::area(read.mask(1)) == 16);
    CHECK(fails_with(ErrorCode::kBadData, {"set.json", "(id "}, [&] { load_spoilt(set, true); }));
  }
  CHECK(load_spoilt(sound(), true).faults().empty());
}

TEST_CASE("annotations: one warning counts records and images by kind, strict lists them all", "[data][property]") {
  json set = sound();
  for (json& annotation : set["annotations"]) annotation["segmentation"] = json::array();
  set["annotations"][0]["segmentation"] = {kSquare[0], {1, 1}};
  const Dataset read = load_spoilt(set, false);
  const std::string text = read.faults().to_text(iuq::io::FaultReader::kTraining);
  CHECK(text == "2 annotations of 2 images without segmentation (ids 2, 3): they are left out; 1 annotation of 1 image with a "
                "polygon of fewer than three points (id 1): that part is left out");
  const json report = read.faults().to_json(iuq::io::FaultReader::kTraining);
  CHECK(report[0]["kind"] == "no_mask");
  CHECK(report[0]["cases"][1] == json({{"index", 2}, {"id", 3}}));
  CHECK(fails_with(ErrorCode::kBadData, {"annotations[0]", "annotations[1]", "annotations[2]"}, [&] { load_spoilt(set, true); }));
  for (int id = 4; id <= 9; ++id) {
    set["annotations"].push_back(set["annotations"][1]);
    set["annotations"].back()["id"] = id;
  }
  CHECK(load_spoilt(set, false).faults().to_text(iuq::io::FaultReader::kTraining).find("(ids 2, 3, 4, 5, 6, ...)") != std::string::npos);
  CHECK(fails_with(ErrorCode::kBadData, {"9 faults", "annotations[7]", "annotations[8]"}, [&] { load_spoilt(set, true); }));
}

TEST_CASE("annotations: repeated ids are numbered anew beyond all others", "[data][property]") {
  json set = sound();
  for (json& annotation : set["annotations"]) annotation["id"] = 5;
  const Dataset read = load_spoilt(set, false);
  CHECK(read.annotations()[0].id == 5);
  CHECK(read.annotations()[1].id == 6);
  CHECK(read.annotations()[2].id == 7);
}

TEST_CASE("annotations: other spellings of what is lawful are read alike", "[data][property]") {
  const json rle = {{"size", {8, 10}}, {"counts", {70, 10}}}, floats = {{"size", {8.0, 10.0}}, {"counts", {70.0, 10.0}}};
  for (const json& segmentation : {rle, floats, json::array({rle}), json::array({floats})}) {
    json set = sound();
    set["annotations"][1]["segmentation"] = segmentation;
    CHECK(iuq::mask::area(load_spoilt(set, true).mask(1)) == 10);
  }
  json set = sound();
  set["annotations"][1]["id"] = 2.0;
  set["annotations"][1]["image_id"] = 1.0;
  set["annotations"][1]["category_id"] = 2.0;
  set["annotations"][1]["iscrowd"] = 1.0;
  set["images"][0]["id"] = 1.0;
  set["images"][0]["height"] = 8.0;
  set["categories"][0]["name"] = 17;
  set["categories"][1]["name"] = 1.5;
  const Dataset read = load_spoilt(set, true);
  CHECK(read.annotations_of(read.images()[0]).size() == 2);
  CHECK(read.annotations()[1].crowd);
  CHECK(read.categories()[0].name == "17");
  CHECK(read.categories()[1].name == "1.5");
}

TEST_CASE("annotations: ids of images may be strings", "[data][property]") {
  json set = sound();
  for (const char* name : {"000123", "caf\u00e9 \"1\""}) {
    set["images"][0]["id"] = name;
    set["annotations"][0]["image_id"] = set["annotations"][1]["image_id"] = name;
    const Dataset read = load_spoilt(set, true);
    CHECK(read.images()[0].name == name);
    CHECK(read.images()[0].id < 0);
    CHECK(read.images()[1].name.empty());
    CHECK(read.annotations_of(read.images()[0]).size() == 2);
    CHECK(read.image_index(iuq::io::string_id(name)) == 0);
  }
  set["images"][1]["id"] = set["images"][0]["id"];
  CHECK(fails_with(ErrorCode::kBadData, {"the id caf\u00e9 \"1\" occurs twice"}, [&] { load_spoilt(set, false); }));
}

TEST_CASE("annotations: messages have the string of an id, not the number that stands for it", "[data][property]") {
  json set = sound();
  for (int i = 0; i < 2; ++i) set["images"][i]["id"] = cat("frame_", i);
  for (json& annotation : set["annotations"]) annotation["image_id"] = cat("frame_", annotation["image_id"].get<int>() - 1);
  set["images"][1]["neg_category_ids"] = {9};
  const auto faults = load_spoilt(set, false).faults();
  for (const auto reader : {iuq::io::FaultReader::kTraining, iuq::io::FaultReader::kEvaluation}) {
    CHECK(faults.to_text(reader).find("(id frame_1)") != std::string::npos);
    CHECK(faults.to_json(reader)[0]["cases"][0]["id"] == "frame_1");
  }
  CHECK(fails_with(ErrorCode::kBadData, {"images[1]", "(id frame_1)"}, [&] { load_spoilt(set, true); }));
  set["images"][0]["height"] = -1;
  CHECK(fails_with(ErrorCode::kBadData, {"images[0]", "(id frame_0)"}, [&] { load_spoilt(set, false); }));
  set["images"][0]["height"] = set["images"][0]["width"] = 1 << 20;  // a record that is plain, and refused
  CHECK(fails_with(ErrorCode::kBadData, {"images[0]", "(id frame_0)", "pixels"}, [&] { load_spoilt(set, false); }));
}

TEST_CASE("annotations: NaN and Infinity do no harm where nobody reads them", "[data][property]") {
  const TempFolder folder;
  const std::string text = sound().dump();
  for (const std::string word : {"NaN", "Infinity", "-Infinity", "[NaN, {\"x\": -Infinity}]"}) {
    std::string unread = text, read = text;
    unread.replace(unread.find("\"area\""), 6, "\"extra\":" + word + ",\"area\"");
    unread.insert(1, "\"info\":{\"version\":" + word + "},");
    const std::string path = folder.write("unread.json", unread);
    CHECK(Dataset::load(path).annotations().size() == 3);
    CHECK(fails_with(ErrorCode::kBadData, {"unread.json", "line 1", "--strict"}, [&] { Dataset::load(path, {.strict = true}); }));
    read.replace(read.find("9.5"), 3, word);
    CHECK(fails_with(ErrorCode::kBadData, {"read.json", "annotations[0].area is", "(id 1)"},
                     [&] { Dataset::load(folder.write("read.json", read)); }));
  }
  for (const auto& [word, key] : std::vector<std::pair<std::string, std::string>>{
           {"NaN", "extra is NaN"}, {"[1, {\"x\": {}, \"y\": -Infinity}]", "extra[1].y is -Infinity"}, {"[[1e5], [Infinity]]", "extra[1][0] is Infinity"}}) {
    std::string unread = text;
    unread.replace(unread.rfind("\"area\""), 6, "\"extra\":" + word + ",\"area\"");
    const std::string path = folder.write("unread.json", unread);
    CHECK(Dataset::load(path).annotations().size() == 3);
    CHECK(fails_with(ErrorCode::kBadData, {"unread.json", "annotations[2]." + key, "(id 3)"},
                     [&] { Dataset::load(path, {.strict = true}); }));
  }
  for (const std::string word : {"nan", "-NaN", "inf", "Infinit", "NaNs"}) {
    std::string wrong = text;
    wrong.insert(1, "\"info\":" + word + ",");
    CHECK(fails_with(ErrorCode::kBadData, {"wrong.json", "line 1"}, [&] { Dataset::load(folder.write("wrong.json", wrong)); }));
  }
}

TEST_CASE("annotations: sizes and names come from the image files where the file does not have them", "[data][property]") {
  const TempFolder folder;
  iuq::io::make_folders(folder / "sub");
  iuq::data::Pixels pixels;
  pixels.height = 8;
  pixels.width = 10;
  pixels.bgr.assign(8 * 10 * 3, 90);
  iuq::data::write_png(folder / "sub/a.png", pixels);
  for (const json& size : {json(-1), json(0), json(nullptr)}) {
    json set = sound();
    set["images"][0]["height"] = set["images"][0]["width"] = size;
    set["images"][0]["file_name"] = "sub\\a.png";
    const std::string path = folder.write("set.json", set.dump());
    const Dataset read = Dataset::load(path, {.images = folder / ""});
    CHECK(read.images()[0].height == 8);
    CHECK(read.images()[0].width == 10);
    CHECK(read.images()[0].file_name == "sub/a.png");
    CHECK(read.faults().of(Fault::kBackslash).count == 1);
    CHECK(read.faults().of(Fault::kNoSize).count == 1);
    CHECK(fails_with(ErrorCode::kBadData, {"set.json", "images[0]", "--images"}, [&] { Dataset::load(path); }));
  }
}

TEST_CASE("annotations: an image of unknown size whose file is bad is one bad image, not the end of reading", "[data][property]") {
  const TempFolder folder;
  iuq::test::write_tiny_dataset(folder.path(), {{32, 48}, {40, 40}, {24, 64}});
  json set = json::parse(iuq::io::read_text(folder / "annotations.json"));
  for (json& image : set["images"]) image["width"] = image["height"] = -1;
  for (json& annotation : set["annotations"]) annotation.erase("area");  // which would be that of the mask
  const std::string path = folder.write("set.json", set.dump());
  const std::string whole = iuq::io::read_text(folder / "106.png");
  const auto usable = [&](const Dataset& read, int64_t max_errors) {
    return iuq::data::usable_images(read, folder.path(), iuq::data::all_images(read), max_errors, 2);
  };
  struct { std::string bytes; ErrorCode code; } kinds[] = {
      {"", ErrorCode::kBadData}, {"no image at all", ErrorCode::kBadData}, {whole.substr(0, 12), ErrorCode::kBadData},
      {"missing", ErrorCode::kNoInput}};
  for (const auto& [bytes, code] : kinds) {
    CAPTURE(bytes);
    folder.write("103.png", bytes);
    if (bytes == "missing") std::filesystem::remove(folder / "103.png");
    const Dataset read = Dataset::load(path, {.images = folder.path()});
    CHECK_FALSE(read.images()[1].has_size());
    CHECK(read.images()[2].has_size());
    CHECK(read.annotations_of(read.images()[1]).size() == 2);  // or it would be taken for one without instances
    CHECK(read.faults().of(Fault::kNoSize).count == 3);
    CHECK(fails_with(code, {"1 of 3 images", "103.png", "--max-errors 1"}, [&] { usable(read, 0); }));
    CHECK(usable(read, 1).images == std::vector<int64_t>{0, 2});
  }
}

TEST_CASE("annotations: a file of images alone is read where nobody learns from it", "[data][property]") {
  const TempFolder folder;
  json set = sound();
  set.erase("annotations");
  const std::string path = folder.write("set.json", set.dump());
  CHECK(Dataset::load(path, {.needs_annotations = false}).images().size() == 2);
  CHECK(fails_with(ErrorCode::kBadData, {"set.json", "no list \"annotations\""}, [&] { Dataset::load(path); }));
}
