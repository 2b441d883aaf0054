#include "lib/info/checkup.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <opencv2/imgcodecs.hpp>

#include "lib/info/clean_copy.h"
#include "lib/io/provenance.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_dataset.h"

using namespace iuq;
using info::Checkup;
using info::Finding;
using nlohmann::json;

namespace {

/// A healthy data set that a test damages: four images of two annotations each, ids 109, 106, 103, 100 and 1 to 8.
class Patient {
 public:
  Patient() {
    test::write_tiny_dataset(folder.path(), {{32, 48}, {32, 48}, {40, 40}, {24, 64}});
    file = json::parse(test::read_bytes(folder / "annotations.json"));
    file["info"] = {{"year", 2026}};
    file["licenses"] = {{{"id", 3}, {"name", "none"}}};
  }
  json& image(size_t i) { return file["images"][i]; }
  json& annotation(size_t i) { return file["annotations"][i]; }
  std::string save() const { return folder.write("annotations.json", file.dump()); }
  Checkup check(info::CheckupOptions options = {}) const {
    options.images = folder.path();
    return info::check_up(save(), options);
  }

  test::TempFolder folder;
  json file;
};

const Finding* find(const Checkup& checkup, const std::string& kind) {
  const auto found = std::find_if(checkup.findings.begin(), checkup.findings.end(), [&](const Finding& f) { return f.kind == kind; });
  return found == checkup.findings.end() ? nullptr : &*found;
}

int64_t count(const Checkup& checkup, const std::string& kind) {
  const Finding* const found = find(checkup, kind);
  return found ? found->count : 0;
}

void damage(Patient& p) {
  p.annotation(0).erase("segmentation");
  p.annotation(1).erase("iscrowd");
  p.annotation(2)["bbox"] = "big";                        // an error
  p.annotation(3)["segmentation"].push_back({1, 2, 3, 4});  // a part of two points
  p.annotation(4)["id"] = 2;
  p.annotation(5)["category_id"] = 99;
  p.annotation(6)["area"] = -5;
  p.annotation(6).erase("bbox");
  p.annotation(3).erase("area");
  p.file["annotations"].push_back(p.annotation(7));
  p.file["annotations"].back()["id"] = 20;                // a copy of annotation 8
  p.image(1)["height"] = -1;
  p.file["images"].push_back(p.image(0));                 // an id that is there: an error
  p.file["images"].push_back({{"id", 200}, {"file_name", "gone.png"}, {"height", 5}, {"width", 5}});
}

}  // namespace

TEST_CASE("checkup: a healthy data set has no faults and a table", "[info]") {
  const Patient patient;
  const Checkup checkup = patient.check();
  CHECK_FALSE(checkup.has_faults());
  REQUIRE(checkup.categories.size() == 2);
  CHECK(checkup.categories[0].objects == 4);
  CHECK(checkup.categories[0].images == 4);
  CHECK(checkup.categories[0].small + checkup.categories[0].medium == 4);
  CHECK(checkup.median_objects == 2);
  CHECK(info::to_text(checkup).find("no faults") != std::string::npos);
}

TEST_CASE("checkup: all faults are found at once, whatever the threads", "[info][error]") {
  Patient patient;
  damage(patient);
  const Checkup checkup = patient.check({.threads = 1});
  CHECK(checkup.has_faults());
  for (const auto& [kind, number] : std::vector<std::pair<const char*, int64_t>>{
           {"refused", 2}, {"no_mask", 1}, {"no_iscrowd", 1}, {"thin_part", 1}, {"repeated_id", 1}, {"unknown_category", 1},
           {"negative_area", 1}, {"no_area", 1}, {"no_bbox", 1}, {"no_size", 1}, {"repeated", 1}, {"image_missing", 1}}) {
    INFO(kind);
    CHECK(count(checkup, kind) == number);
    CHECK((find(checkup, kind) && find(checkup, kind)->is_fault));
  }
  const std::string refused = find(checkup, "refused")->text;
  CHECK(refused.find("annotations[2].bbox is \"big\"") != std::string::npos);
  CHECK(refused.find("images[4].id is that of an earlier image (id 109)") != std::string::npos);
  CHECK(find(checkup, "repeated")->cases[0]["id"] == 20);
  CHECK(info::to_json(checkup) == info::to_json(patient.check({.threads = 3})));
}

TEST_CASE("checkup: images are told by what is wrong with them", "[info][error]") {
  Patient patient;
  const auto& folder = patient.folder;
  const std::string whole = test::read_bytes(folder / "106.png");
  folder.write("109.png", "not an image");
  folder.write("106.png", whole.substr(0, whole.size() / 2));
  patient.image(2)["height"] = 41;
  cv::imwrite(folder / "100.png", cv::Mat(24, 64, CV_16UC1, cv::Scalar(4000)));
  const Checkup checkup = patient.check();
  CHECK(count(checkup, "image_unreadable") == 1);
  CHECK(count(checkup, "image_truncated") == 1);
  CHECK(count(checkup, "image_other_size") == 1);
  REQUIRE(find(checkup, "image_dark"));
  CHECK_FALSE(find(checkup, "image_dark")->is_fault);
  CHECK(checkup.unusable_images == std::vector<int64_t>{0, 1, 2});
  cv::imwrite(folder / "100.png", cv::Mat(24, 64, CV_16UC1, cv::Scalar(40000)));
  patient.image(3)["file_name"] = "photos/100.PNG";
  CHECK(find(patient.check(), "image_missing")->text.find("but there is \"" + (folder / "100.png")) != std::string::npos);
  patient.image(3)["file_name"] = "100.png";
  CHECK(count(patient.check(), "image_dark") == 0);
}

TEST_CASE("checkup: what is odd but lawful is a note", "[info]") {
  Patient patient;
  patient.annotation(0)["bbox"] = {60, 2, 3, 4};
  patient.file["categories"].push_back({{"id", 7}, {"name", "never"}});
  patient.file["annotations"].erase(7);
  patient.file["annotations"].erase(6);
  const Checkup checkup = patient.check({.min_pixels = 500, .detections = 1});
  CHECK_FALSE(checkup.has_faults());
  CHECK(count(checkup, "box_elsewhere") == 1);
  CHECK(count(checkup, "below_size") == 6);
  CHECK(count(checkup, "image_without_objects") == 1);
  CHECK(count(checkup, "category_without_objects") == 1);
  REQUIRE(find(checkup, "hidden_by_cut"));
  CHECK(find(checkup, "hidden_by_cut")->text.find("3 objects are out of reach") != std::string::npos);
}

TEST_CASE("checkup: what is wrong with the file as a whole is an error", "[info][error]") {
  Patient patient;
  patient.file["categories"].push_back(patient.file["categories"][0]);
  CHECK(test::error_of([&] { patient.check(); }).find("occurs twice") != std::string::npos);
  const std::string cut = patient.folder.write("cut.json", patient.file.dump().substr(0, 300));
  test::error_of([&] { info::check_up(cut, {}); });
}

TEST_CASE("clean copy: no faults are left, and what is whole stays", "[info][property]") {
  Patient patient;
  damage(patient);
  const Checkup checkup = patient.check();
  const std::string clean = patient.folder / "clean.json";
  info::fix(checkup, clean, /*force=*/false);
  const Checkup again = info::check_up(clean, {.images = patient.folder.path()});
  INFO(info::to_text(again));
  CHECK_FALSE(again.has_faults());

  const json copy = json::parse(test::read_bytes(clean));
  CHECK(copy["info"] == patient.file["info"]);
  CHECK(copy["licenses"] == patient.file["licenses"]);
  CHECK(copy["categories"] == patient.file["categories"]);
  CHECK(copy["images"].size() == 4);
  CHECK(copy["images"][1]["height"] == 32);
  REQUIRE(copy["annotations"].size() == 5);  // of 9 without those without mask, with a bad bbox, of no category, and the copy
  CHECK(copy["annotations"][0]["iscrowd"] == 0);
  CHECK(copy["annotations"][1]["segmentation"] == json::array({patient.annotation(3)["segmentation"][0]}));
  CHECK(copy["annotations"][2]["id"] == 21);  // beyond all others
  CHECK(copy["annotations"][3]["area"] > 0);
  CHECK(copy["annotations"][4] == patient.annotation(7));

  const json provenance = io::read_sidecar(clean);
  const json& changes = provenance["entries"].back()["config"]["fix"];
  CHECK(changes == info::changes_of(checkup));
  CHECK(changes.size() == 12);
  test::error_of([&] { info::fix(patient.check(), patient.folder.write("other.json", "{}"), false); }, ErrorCode::kCannotCreate);
}

TEST_CASE("clean copy: of a clean file it is the same", "[info][property]") {
  Patient patient;
  for (json& image : patient.file["images"]) image["id"] = "name " + image["id"].dump();
  for (json& annotation : patient.file["annotations"]) annotation["image_id"] = "name " + annotation["image_id"].dump();
  patient.annotation(0)["attributes"] = {{"occluded", false}};
  info::write_clean_copy(patient.check(), patient.folder / "clean.json");
  CHECK(json::parse(test::read_bytes(patient.folder / "clean.json")) == patient.file);
}

TEST_CASE("clean copy: lists of one run-length mask, lists of categories and integral floats come out as peers write them", "[info]") {
  Patient patient;
  patient.annotation(0)["segmentation"] = {{{"size", {32, 48}}, {"counts", {0, 40, 1496}}}};
  patient.annotation(1)["image_id"] = 109.0;
  for (json& image : patient.file["images"]) image["neg_category_ids"] = image["not_exhaustive_category_ids"] = {1, 77};
  const Checkup checkup = patient.check();
  CHECK(count(checkup, "unknown_listed_category") == 4);
  info::write_clean_copy(checkup, patient.folder / "clean.json");
  const json copy = json::parse(test::read_bytes(patient.folder / "clean.json"));
  CHECK(copy["annotations"][0]["segmentation"].is_object());
  CHECK(copy["annotations"][1]["image_id"].is_number_integer());
  CHECK(copy["images"][2]["neg_category_ids"] == json::array({1}));
  CHECK(copy["images"][2]["not_exhaustive_category_ids"] == json::array({1}));
}

TEST_CASE("checkup: masks that cover nothing are faults, sizes and areas are those of the masks", "[info][error]") {
  Patient patient;
  patient.annotation(0)["segmentation"] = {{10, 10, 10, 10, 10, 10}};
  patient.annotation(1)["segmentation"] = {{"size", {32, 48}}, {"counts", {1536}}};
  patient.annotation(2)["segmentation"] = {{60, 5, 70, 5, 70, 15}};  // beside the image of 48 columns
  patient.annotation(3)["segmentation"] = {{.1, .1, .9, .1, .9, .8}};
  patient.annotation(4)["segmentation"] = {{10, 10, 13, 10, 13, 13, 10, 13}};
  patient.annotation(5)["area"] = 1e6;
  patient.annotation(6)["area"] = 0;
  const Checkup checkup = patient.check();
  CHECK(count(checkup, "empty_mask") == 3);
  CHECK(count(checkup, "fractions") == 1);
  CHECK(count(checkup, "negative_area") == 1);
  CHECK(count(checkup, "below_size") == 1);
  CHECK(count(checkup, "other_area") == 2);  // of the small one as well
  CHECK(count(checkup, "box_elsewhere") == 1);
  info::write_clean_copy(checkup, patient.folder / "clean.json");
  const json copy = json::parse(test::read_bytes(patient.folder / "clean.json"));
  REQUIRE(copy["annotations"].size() == 4);
  CHECK(copy["annotations"][2]["area"] > 0);
}

TEST_CASE("clean copy: of a data set that would be lost there is none", "[info][error]") {
  Patient patient;
  const std::string clean = patient.folder / "clean.json";
  const auto refused = [&](ErrorCode code) {
    const Checkup checkup = patient.check();
    const std::string what = test::error_of([&] { info::write_clean_copy(checkup, clean); }, code);
    CHECK_FALSE(std::filesystem::exists(clean));
    return what;
  };
  for (json& annotation : patient.file["annotations"]) annotation["category_id"] = "1";
  CHECK(refused(ErrorCode::kBadData).find("4 of 4 images, 0 of 8 annotations") != std::string::npos);
  for (json& image : patient.file["images"]) image["file_name"] = "sub/" + image["file_name"].get<std::string>();
  CHECK(refused(ErrorCode::kNoInput).find("but there is") != std::string::npos);
}

TEST_CASE("clean copy: new ids do not overflow", "[info]") {
  Patient patient;
  patient.annotation(0)["id"] = std::numeric_limits<int64_t>::max();
  patient.annotation(3)["id"] = 3;
  patient.annotation(4)["id"] = 3;
  info::write_clean_copy(patient.check(), patient.folder / "clean.json");
  const json copy = json::parse(test::read_bytes(patient.folder / "clean.json"));
  CHECK(copy["annotations"][0]["id"] == std::numeric_limits<int64_t>::max());
  CHECK(copy["annotations"][3]["id"] == 1);
  CHECK(copy["annotations"][4]["id"] == 4);
}

TEST_CASE("clean copy: annotations of images that cannot be used go with them, and a file without annotations gets none", "[info]") {
  Patient patient;
  std::remove((patient.folder / "103.png").c_str());
  const Checkup checkup = patient.check();
  CHECK(info::changes_of(checkup).back() == json{{"kind", "annotations_of_unusable_images"}, {"count", 2}});
  info::write_clean_copy(checkup, patient.folder / "clean.json");
  CHECK(json::parse(test::read_bytes(patient.folder / "clean.json"))["annotations"].size() == 6);
  patient.file.erase("annotations");
  info::write_clean_copy(patient.check(), patient.folder / "clean.json");
  CHECK_FALSE(json::parse(test::read_bytes(patient.folder / "clean.json")).contains("annotations"));
}
