#include "lib/data/image_check.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>

#include "lib/data/annotations.h"
#include "lib/data/image_header.h"
#include "lib/io/atomic_file.h"
#include "tests/support/tiny_dataset.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using namespace iuq::data;
using iuq::ErrorCode;
using iuq::test::fails_with;
using iuq::test::TempFolder;

std::string bytes_of(const std::string& path) { return iuq::io::read_text(path); }

/// Five images: 112.png, 109.png, ..., 100.png in file order, and what is wrong with them.
struct Damaged {
  TempFolder folder;
  Damaged() {
    iuq::test::write_tiny_dataset(folder.path(), {{32, 48}, {32, 48}, {40, 40}, {24, 64}, {32, 32}});
    std::remove((folder / "109.png").c_str());
    const std::string whole = bytes_of(folder / "106.png");
    folder.write("106.png", whole.substr(0, whole.size() / 2));
    // A whole header, and pixels that cannot be unpacked: known only when it is read.
    std::string broken = bytes_of(folder / "103.png");
    broken.replace(broken.find("IDAT") + 4, 20, std::string(20, 'x'));
    folder.write("103.png", broken);
  }
  Dataset dataset() const { return Dataset::load(folder / "annotations.json"); }
  UsableImages usable(int64_t max_errors, int threads = 2) const {
    const Dataset set = dataset();
    return usable_images(set, folder.path(), all_images(set), max_errors, threads);
  }
};

}  // namespace

TEST_CASE("image_check: one look finds every missing and truncated file, whatever the threads", "[data][error]") {
  const Damaged damaged;
  const Dataset set = damaged.dataset();
  for (const int threads : {1, 3}) {
    const ImageCheck quick = check_images(set, damaged.folder.path(), all_images(set), ImageLook::kHeader, threads);
    REQUIRE(quick.faults.size() == 2);
    CHECK(quick.faults[0].image == 1);
    CHECK(quick.faults[0].code == ErrorCode::kNoInput);
    CHECK(quick.faults[1].image == 2);
    CHECK(quick.faults[1].what.find("truncated") != std::string::npos);
    CHECK(check_images(set, damaged.folder.path(), all_images(set), ImageLook::kPixels, threads).faults.size() == 3);
  }
  CHECK(fails_with(ErrorCode::kNoInput, {"2 of 5 images", "109.png", "(image 109)", "106.png", "--max-errors 2"},
                   [&] { damaged.usable(0); }));
  CHECK(fails_with(ErrorCode::kNoInput, {"3 of 5 images", "103.png"}, [&] { damaged.usable(2); }));
}

TEST_CASE("image_check: what is left out is part of the provenance until it is mended", "[data][property]") {
  const Damaged damaged;
  const UsableImages usable = damaged.usable(3);
  CHECK(usable.images == std::vector<int64_t>{0, 4});
  const nlohmann::json left = usable.left_out();
  REQUIRE(left.size() == 3);
  CHECK(left[0]["id"] == 103);
  CHECK(left[2]["file"] == "missing");
  damaged.folder.write("109.png", bytes_of(damaged.folder / "112.png"));
  CHECK(damaged.usable(3).images == std::vector<int64_t>{0, 1, 4});
  CHECK(damaged.usable(3).left_out() != left);
  CHECK(damaged.usable(3).left_out() == damaged.usable(9, 1).left_out());
}

TEST_CASE("image_check: images are called by the strings that are their ids", "[data][property]") {
  const Damaged damaged;
  iuq::test::name_images(damaged.folder / "annotations.json");
  CHECK(fails_with(ErrorCode::kNoInput, {"109.png", "(image shot_109)", "(image shot_106)"}, [&] { damaged.usable(0); }));
  std::vector<std::string> left;
  for (const nlohmann::json& one : damaged.usable(3).left_out()) left.push_back(one.at("id"));
  std::sort(left.begin(), left.end());
  CHECK(left == std::vector<std::string>{"shot_103", "shot_106", "shot_109"});
}

TEST_CASE("image_check: sizes are those of the turned image, and a JPEG without end marker is a warning", "[data][property]") {
  const TempFolder folder;
  iuq::test::write_tiny_dataset(folder.path(), {{32, 48}, {32, 48}});
  std::vector<uint8_t> jpeg;
  cv::imencode(".jpg", cv::Mat(32, 48, CV_8UC3, cv::Scalar(5, 60, 200)), jpeg);
  std::string bytes(jpeg.begin(), jpeg.end());
  folder.write("103.png", bytes.substr(0, bytes.size() - 2) + std::string(500, '\0'));
  const std::string exif("\xff\xe1\x00\x22" "Exif\0\0"
                         "MM\0\x2a\0\0\0\x08" "\0\x01" "\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" "\0\0\0\0", 36);
  folder.write("100.png", bytes.substr(0, 2) + exif + bytes.substr(2));
  const Dataset set = Dataset::load(folder / "annotations.json");
  const ImageCheck check = check_images(set, folder.path(), all_images(set), ImageLook::kHeader, 1);
  REQUIRE(check.warnings.size() == 1);
  CHECK(check.warnings[0].what.find("103.png") != std::string::npos);
  REQUIRE(check.faults.size() == 1);
  CHECK(check.faults[0].what.find("is 48 x 32") != std::string::npos);
  // So it has where the annotations leave its size open.
  nlohmann::json open = nlohmann::json::parse(bytes_of(folder / "annotations.json"));
  for (nlohmann::json& image : open["images"]) image.erase("width");
  const Dataset measured = Dataset::load(folder.write("open.json", open.dump()), {.images = folder.path()});
  CHECK(measured.images()[1].height == 48);
  CHECK(measured.images()[1].width == 32);
  CHECK(check_images(measured, folder.path(), all_images(measured), ImageLook::kHeader, 1).faults.empty());
}

TEST_CASE("image_check: a fingerprint tells a replaced file", "[data][property]") {
  const TempFolder folder;
  const std::string path = folder.write("x", std::string(20000, 'a'));
  const std::string before = iuq::data::image_fingerprint(path);
  CHECK(before.size() == 16);
  CHECK(iuq::data::image_fingerprint(folder.write("y", std::string(20000, 'a'))) == before);
  CHECK(iuq::data::image_fingerprint(folder.write("x", std::string(19999, 'a') + "b")) != before);
  CHECK(iuq::data::image_fingerprint(folder.write("x", std::string(20001, 'a'))) != before);
  CHECK(iuq::data::image_fingerprint(folder / "none").empty());
}
