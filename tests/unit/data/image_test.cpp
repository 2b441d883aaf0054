#include "lib/data/image.h"

#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>

#include "lib/base/rng.h"
#include "lib/data/annotations.h"
#include "lib/data/image_header.h"
#include "lib/io/atomic_file.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using namespace iuq::data;
using iuq::ErrorCode;
using iuq::test::fails_with;
using iuq::test::TempFolder;

Pixels noise(int64_t height, int64_t width) {
  iuq::Rng rng(7, "image-test");
  Pixels image{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  for (uint8_t& v : image.bgr) v = static_cast<uint8_t>(rng.below(256));
  return image;
}

std::string encoded(const Pixels& image, const char* extension) {
  std::vector<uint8_t> bytes;
  cv::imencode(extension, cv::Mat(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                                  const_cast<uint8_t*>(image.bgr.data())), bytes);
  return {bytes.begin(), bytes.end()};
}

/// An APP1 segment that says "turn by 90 degrees" (orientation 6), put behind a JPEG's first marker.
std::string turned(const std::string& jpeg) {
  const std::string exif("\xff\xe1\x00\x22"                                      // APP1, 34 bytes
                         "Exif\0\0" "MM\0\x2a\0\0\0\x08"                         // big-endian TIFF, directory at 8
                         "\0\x01" "\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" "\0\0\0\0", 4 + 32);
  return jpeg.substr(0, 2) + exif + jpeg.substr(2);
}

}  // namespace

TEST_CASE("image: PNG returns every pixel that was written", "[data][property]") {
  const TempFolder folder;
  const Pixels image = noise(13, 29);
  write_png(folder / "x.png", image);
  const Pixels back = read_image(folder / "x.png", 13, 29);
  CHECK(back.height == 13);
  CHECK(back.width == 29);
  CHECK(back.bgr == image.bgr);
}

TEST_CASE("image: a grey file becomes three equal channels", "[data][property]") {
  const TempFolder folder;
  cv::imwrite(folder / "grey.jpg", cv::Mat(8, 6, CV_8UC1, cv::Scalar(77)));
  const Pixels image = read_image(folder / "grey.jpg");
  CHECK(image.bgr == std::vector<uint8_t>(3 * 8 * 6, 77));
}

TEST_CASE("image: the EXIF orientation is applied, and the size is that of the turned image", "[data][property]") {
  const TempFolder folder;
  const std::string path = folder.write("t.jpg", turned(encoded(noise(16, 40), ".jpg")));
  const Pixels image = read_image(path, 40, 16);
  CHECK(image.height == 40);
  CHECK(fails_with(ErrorCode::kBadData, {"t.jpg", "40 x 16", "16 x 40", "EXIF"}, [&] { read_image(path, 16, 40); }));
}

TEST_CASE("image: what is not a whole image of the right size is refused by name", "[data][error]") {
  const TempFolder folder;
  const Pixels image = noise(32, 48);
  CHECK(fails_with(ErrorCode::kNoInput, {"no.jpg"}, [&] { read_image(folder / "no.jpg"); }));
  const std::string text = folder.write("text.jpg", "this is not a picture");
  CHECK(fails_with(ErrorCode::kBadData, {"text.jpg", "not an image"}, [&] { read_image(text); }));
  const std::string empty = folder.write("empty.jpg", "");
  CHECK(fails_with(ErrorCode::kBadData, {"empty.jpg", "empty"}, [&] { read_image(empty); }));
  for (const char* extension : {".jpg", ".png"}) {
    const std::string bytes = encoded(image, extension);
    CHECK(read_image_header(bytes).complete);
    CHECK(read_image_header(bytes).height == 32);
    CHECK(read_image_header(bytes).width == 48);
    for (const size_t keep : {bytes.size() - 1, bytes.size() - 7, bytes.size() / 2, size_t{30}, size_t{12}}) {
      CAPTURE(extension, keep);
      const std::string path = folder.write(std::string("cut") + extension, bytes.substr(0, keep));
      CHECK(fails_with(ErrorCode::kBadData, {"cut", "truncated"}, [&] { read_image(path); }));
    }
    const std::string path = folder.write(std::string("whole") + extension, bytes);
    CHECK(fails_with(ErrorCode::kBadData, {"whole", "32 x 48", "32 x 49"}, [&] { read_image(path, 32, 49); }));
    CHECK(read_image(path, 32, 48).height == 32);
  }
}

TEST_CASE("image: a JPEG without its end marker is read when no pixel is missing", "[data][oracle]") {
  const TempFolder folder;
  for (const Pixels& image : {noise(33, 47), Pixels{16, 24, std::vector<uint8_t>(3 * 16 * 24, 255)}}) {
    const std::string bytes = encoded(image, ".jpg");
    const std::string whole = folder.write("whole.jpg", bytes);
    const std::string open_end = bytes.substr(0, bytes.size() - 2);
    for (const std::string& tail : {std::string(1000, '\0'), std::string(300, ' ')}) {
      const std::string path = folder.write("padded.jpg", open_end + tail);
      CHECK_FALSE(read_image_header(open_end + tail).complete);
      CHECK(read_image(path).bgr == read_image(whole).bgr);
    }
    std::vector<uint8_t> progressive;
    cv::imencode(".jpg", cv::Mat(16, 24, CV_8UC3, cv::Scalar(9, 8, 7)), progressive, {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
    const std::string scans(progressive.begin(), progressive.end() - 2);  // nobody knows whether more scans were to follow
    CHECK(fails_with(ErrorCode::kBadData, {"truncated"}, [&] { read_image(folder.write("p.jpg", scans + std::string(99, '\0'))); }));
    // What Pillow refuses stays refused, although OpenCV fills it up.
    for (const size_t keep : {open_end.size(), open_end.size() - 5}) {
      const std::string path = folder.write("cut.jpg", open_end.substr(0, keep));
      CHECK(fails_with(ErrorCode::kBadData, {"cut.jpg", "truncated"}, [&] { read_image(path); }));
    }
  }
}

TEST_CASE("image: a PNG that claims to be huge is refused before any memory is taken", "[data][error]") {
  const TempFolder folder;
  std::string bytes = encoded(noise(4, 4), ".png");
  bytes.replace(16, 8, std::string("\0\1\0\0\0\1\0\0", 8));  // 65536 x 65536
  const std::string path = folder.write("bomb.png", bytes);
  CHECK(fails_with(ErrorCode::kBadData, {"bomb.png", "65536 x 65536"}, [&] { read_image(path); }));
}

TEST_CASE("image: fit_size follows the shortest-edge rule", "[data][golden]") {
  // (height, width, short, long) -> (height, width), by hand: scale, cap, int(x + .5)
  using Size = std::pair<int64_t, int64_t>;
  CHECK(fit_size(480, 640, 800, 1333) == Size(800, 1067));   // 1066.67
  CHECK(fit_size(640, 480, 800, 1333) == Size(1067, 800));
  CHECK(fit_size(375, 500, 800, 1333) == Size(800, 1067));
  CHECK(fit_size(333, 500, 800, 1333) == Size(800, 1201));   // 1201.2
  CHECK(fit_size(200, 640, 800, 1333) == Size(417, 1333));   // 2560 > 1333: 800 * 1333 / 2560 = 416.56
  CHECK(fit_size(100, 100, 33, 1000) == Size(33, 33));
  CHECK(fit_size(1, 5000, 10, 100) == Size(1, 100));         // 0.02 rounds to 0, kept at 1
}

TEST_CASE("image: resize keeps a constant and halves by averaging pairs", "[data][property]") {
  Pixels flat{5, 7, std::vector<uint8_t>(105, 90)};
  CHECK(resize(flat, 11, 3).bgr == std::vector<uint8_t>(99, 90));
  const Pixels two{2, 2, {0, 0, 0, 40, 40, 40, 80, 80, 80, 120, 120, 120}};
  CHECK(resize(two, 1, 1).bgr == std::vector<uint8_t>{60, 60, 60});
}

TEST_CASE("image: every image of coco-mini has the size its annotation file states", "[data][golden]") {
  const std::string folder = IUQ_SHARED_DIR "/data/coco-mini/";
  if (!iuq::io::exists(folder)) {
    WARN("skipped: no coco-mini");
    return;
  }
  int64_t grey = 0;
  const Dataset set = Dataset::load(folder + "annotations/instances_train.json");
  for (const Image& image : set.images()) {
    const Pixels pixels = read_image(folder + "images/" + image.file_name, image.height, image.width);
    bool equal = true;
    for (size_t i = 0; i < pixels.bgr.size(); i += 3) {
      equal = equal && pixels.bgr[i] == pixels.bgr[i + 1] && pixels.bgr[i] == pixels.bgr[i + 2];
    }
    grey += equal;
  }
  CHECK(grey >= 1);
}
