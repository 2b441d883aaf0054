#include "lib/data/image_header.h"

#include <opencv2/imgcodecs.hpp>

#include "lib/base/rng.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using namespace iuq::data;
using iuq::ErrorCode;
using iuq::test::fails_with;
using iuq::test::TempFolder;

std::string encoded(const cv::Mat& image, const std::string& extension, const std::vector<int>& how = {}) {
  std::vector<uint8_t> bytes;
  cv::imencode(extension, image, bytes, how);
  return {bytes.begin(), bytes.end()};
}

std::string little(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

/// A little-endian EXIF block (TIFF structure) that says how the image is turned.
std::string exif(char orientation) {
  return "II*" + little(0, 1) + little(8, 4) + little(1, 2) + little(0x112, 2) + little(3, 2) + little(1, 4) +
         std::string(1, orientation) + std::string(3, '\0') + little(0, 4);
}

/// A segment behind the first marker of a JPEG.
std::string with_segment(const std::string& jpeg, uint8_t marker, const std::string& body) {
  const auto length = static_cast<uint16_t>(body.size() + 2);
  return jpeg.substr(0, 2) + '\xff' + static_cast<char>(marker) + static_cast<char>(length >> 8) + static_cast<char>(length & 255) +
         body + jpeg.substr(2);
}

}  // namespace

TEST_CASE("image_header: sizes, channels and depth of what OpenCV writes", "[data][oracle]") {
  const TempFolder folder;
  const cv::Mat colour(21, 34, CV_8UC3, cv::Scalar(10, 200, 90)), grey(21, 34, CV_8UC1, cv::Scalar(7));
  const cv::Mat alpha(21, 34, CV_8UC4, cv::Scalar(1, 2, 3, 4)), deep(21, 34, CV_16UC1, cv::Scalar(3000));
  struct Case {
    std::string name, bytes;
    FileKind kind;
    int64_t channels, depth;
  };
  const std::vector<Case> cases = {
      {"colour.jpg", encoded(colour, ".jpg"), FileKind::kJpeg, 3, 8},
      {"progressive.jpg", encoded(colour, ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, 1}), FileKind::kJpeg, 3, 8},
      {"grey.jpg", encoded(grey, ".jpg"), FileKind::kJpeg, 1, 8},
      {"colour.png", encoded(colour, ".png"), FileKind::kPng, 3, 8},
      {"alpha.png", encoded(alpha, ".png"), FileKind::kPng, 4, 8},
      {"deep.png", encoded(deep, ".png"), FileKind::kPng, 1, 16},
      {"colour.bmp", encoded(colour, ".bmp"), FileKind::kBmp, 3, 8},
      {"colour.webp", encoded(colour, ".webp"), FileKind::kWebp, 3, 8},
      {"lossless.webp", encoded(colour, ".webp", {cv::IMWRITE_WEBP_QUALITY, 101}), FileKind::kWebp, 3, 8},
      {"colour.tiff", encoded(colour, ".tiff"), FileKind::kTiff, 3, 8},
      {"deep.tiff", encoded(deep, ".tiff"), FileKind::kTiff, 1, 16},
      {"colour.ppm", encoded(colour, ".ppm"), FileKind::kPnm, 3, 8},
      {"grey.pgm", "P5\n# by hand\n34 21\n# twice\n255\n" + std::string(34 * 21, 'x'), FileKind::kPnm, 1, 8},
      {"still.gif", "GIF89a" + little(34, 2) + little(21, 2) + std::string(50, '\0') + ";", FileKind::kGif, 3, 8},
      {"colour.ras", encoded(colour, ".ras"), FileKind::kOther, 3, 8},  // decoded, as nothing here knows its header
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const ImageHeader header = image_header(folder.write(c.name, c.bytes));
    CHECK(header.kind == c.kind);
    CHECK(header.height == 21);
    CHECK(header.width == 34);
    CHECK(header.channels == c.channels);
    CHECK(header.depth == c.depth);
    CHECK(header.orientation == 1);
    CHECK(header.complete);
  }
}

TEST_CASE("image_header: EXIF in a JPEG or PNG turns the size, wherever the segment lies", "[data][oracle]") {
  const TempFolder folder;
  const cv::Mat image(21, 34, CV_8UC3, cv::Scalar(10, 200, 90));
  const std::string jpeg = encoded(image, ".jpg"), png = encoded(image, ".png");
  for (const char orientation : {1, 3, 6, 8}) {
    const std::string body = std::string("Exif\0\0", 6) + exif(orientation);
    // A profile of 60 kB in front: the size lies beyond the first kB that are read.
    const std::string turned = with_segment(with_segment(jpeg, 0xe1, body), 0xe2, std::string(60000, 'x'));
    const std::string path = folder.write("turned.jpg", turned);
    const cv::Mat decoded = cv::imread(path);
    const ImageHeader header = image_header(path);
    CHECK(header.orientation == orientation);
    CHECK(header.height == 21);
    CHECK(header.turned() == std::pair<int64_t, int64_t>(decoded.rows, decoded.cols));
    CHECK(read_image_header(turned).turned() == header.turned());
    const std::string block = exif(orientation);
    const std::string chunk = std::string(3, '\0') + static_cast<char>(block.size()) + "eXIf" + block + "crc!";
    CHECK(image_header(folder.write("turned.png", png.substr(0, 33) + chunk + png.substr(33))).orientation == orientation);
  }
}

TEST_CASE("image_header: says whether the end is there, also behind what follows it", "[data][error]") {
  const TempFolder folder;
  const cv::Mat image(21, 34, CV_8UC3, cv::Scalar(10, 200, 90));
  for (const char* extension : {".jpg", ".png", ".bmp", ".webp"}) {
    CAPTURE(extension);
    const std::string bytes = encoded(image, extension);
    CHECK(image_header(folder.write("x", bytes)).complete);
    CHECK(image_header(folder.write("x", bytes + "appended by a phone")).complete);
    CHECK_FALSE(image_header(folder.write("x", bytes.substr(0, bytes.size() - 1))).complete);
    CHECK_FALSE(image_header(folder.write("x", bytes.substr(0, bytes.size() * 3 / 4))).complete);
  }
  CHECK(fails_with(ErrorCode::kNoInput, {"gone.jpg"}, [&] { image_header(folder / "gone.jpg"); }));
  CHECK(fails_with(ErrorCode::kBadData, {"none.jpg", "empty"}, [&] { image_header(folder.write("none.jpg", "")); }));
  CHECK(fails_with(ErrorCode::kBadData, {"page.jpg", "not an image"}, [&] {
    image_header(folder.write("page.jpg", "<!DOCTYPE html><html>not found</html>"));
  }));
  CHECK(fails_with(ErrorCode::kBadData, {"not a plain file"}, [&] { image_header(folder / "."); }));
}

TEST_CASE("image_header: damaged bytes end in an answer, in memory as on the disk", "[data][fault]") {
  const TempFolder folder;
  const cv::Mat image(21, 34, CV_8UC3, cv::Scalar(10, 200, 90));
  iuq::Rng rng(3, "image-header-test");
  for (const char* extension : {".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"}) {
    const std::string bytes = encoded(image, extension);
    for (int n = 0; n < 300; ++n) {
      std::string broken = bytes.substr(0, static_cast<size_t>(rng.below(static_cast<int64_t>(bytes.size()) + 1)));
      for (int k = 0; k < 4 && !broken.empty(); ++k) {
        broken[static_cast<size_t>(rng.below(std::ssize(broken)))] = static_cast<char>(rng.below(256));
      }
      const ImageHeader header = read_image_header(broken);
      CHECK(header.height >= 0);
      CHECK(header.width >= 0);
      CHECK((header.orientation >= 1 && header.orientation <= 8));
      if (broken.empty() || header.kind == FileKind::kOther) continue;
      const ImageHeader on_disk = image_header(folder.write("broken", broken));
      CHECK(on_disk.height == header.height);
      CHECK(on_disk.width == header.width);
      CHECK(on_disk.complete == header.complete);
    }
  }
}
