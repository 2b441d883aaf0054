#include "lib/data/image.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "lib/base/error.h"
#include "lib/data/image_header.h"
#include "lib/io/atomic_file.h"

namespace iuq::data {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 30;

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("image \"", path, "\" ", what));
}

[[noreturn]] void wrong_size(const std::string& path, int64_t h, int64_t w, int64_t want_h, int64_t want_w) {
  const bool turned = h == want_w && w == want_h;
  bad(path, cat("is ", h, " x ", w, " (height x width), but the annotation file says ", want_h, " x ", want_w,
                turned ? "; perhaps its EXIF orientation was ignored when it was annotated" : ""));
}

[[noreturn]] void truncated(const std::string& path) { bad(path, "is truncated: its end is missing"); }

ImageHeader check_header(const std::string& path, const std::string& bytes, int64_t want_h, int64_t want_w) {
  const ImageHeader header = read_image_header(bytes);
  if (header.kind == FileKind::kOther) return header;
  if (!header.complete && (header.kind != FileKind::kJpeg || !header.has_size())) truncated(path);
  if (header.height < 1 || header.width < 1 || header.height * header.width > kMaxPixels) {
    bad(path, cat("states a size of ", header.height, " x ", header.width, " (height x width)"));
  }
  // EXIF may still turn it; anything else need not be decoded to be refused.
  const bool straight = header.height == want_h && header.width == want_w;
  const bool turned = header.height == want_w && header.width == want_h;
  if (want_h > 0 && !straight && !turned) wrong_size(path, header.height, header.width, want_h, want_w);
  return header;
}

cv::Mat decode(const std::string& path, const std::string& bytes, int mode = cv::IMREAD_COLOR) {
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    return cv::imdecode(raw, mode);
  } catch (const cv::Exception& e) {
    bad(path, cat("cannot be decoded: ", e.err));
  }
}

bool same_pixels(const cv::Mat& a, const cv::Mat& b) {
  return !a.empty() && a.size() == b.size() && cv::norm(a, b, cv::NORM_INF) == 0;
}

// The pixels of a JPEG without an end marker when all are there, else empty. By Pillow's measure its decoder must reach the end
// of the image before it runs out of bytes, of which it wants 8 more than it uses. OpenCV does not say whether it did; but then
// what is put in the place of the last 8 changes nothing.
cv::Mat decode_without_end(const std::string& path, const std::string& bytes) {
  constexpr size_t kAhead = 8, kMore = 1 << 16;
  if (bytes.size() < kAhead) return {};
  std::string one = bytes.substr(0, bytes.size() - kAhead), other = one;
  // Two tails that differ in every bit. No byte of them is 0xff, which would be a marker.
  for (uint32_t n = 1; one.size() < bytes.size() + kMore; n = n * 1664525 + 1013904223) {
    const auto byte = static_cast<uint8_t>(1 + (n >> 24) % 254);
    one += static_cast<char>(byte);
    other += static_cast<char>(~byte);
  }
  const cv::Mat decoded = decode(path, one);
  return same_pixels(decoded, decode(path, other)) ? decoded : cv::Mat();
}

cv::Mat wrap(const Pixels& image) {
  IUQ_ASSERT(image.height > 0 && image.width > 0);
  IUQ_ASSERT(image.bgr.size() == static_cast<size_t>(3 * image.height * image.width));
  // cv::Mat has no const view of foreign memory; nothing here writes through it.
  return cv::Mat(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                 const_cast<uint8_t*>(image.bgr.data()));
}

Pixels resized(const Pixels& image, int64_t height, int64_t width, int interpolation) {
  IUQ_ASSERT(height > 0 && width > 0);
  Pixels out{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  cv::Mat to = wrap(out);
  cv::resize(wrap(image), to, to.size(), 0, 0, interpolation);
  return out;
}

}  // namespace

Pixels read_image(const std::string& path, int64_t expected_height, int64_t expected_width) {
  const std::string bytes = io::read_text(path);
  if (bytes.empty()) bad(path, "is an empty file");
  if (bytes.size() > size_t{1} << 30) bad(path, "is larger than 1 GiB");
  const ImageHeader header = check_header(path, bytes, expected_height, expected_width);
  const cv::Mat decoded = header.complete ? decode(path, bytes) : decode_without_end(path, bytes);
  if (decoded.empty() && !header.complete) truncated(path);
  if (decoded.empty()) bad(path, "cannot be decoded: it is not an image, or it is damaged");
  if (expected_height > 0 && (decoded.rows != expected_height || decoded.cols != expected_width)) {
    wrong_size(path, decoded.rows, decoded.cols, expected_height, expected_width);
  }
  Pixels out{decoded.rows, decoded.cols, {}};
  out.bgr.reserve(static_cast<size_t>(3 * out.height * out.width));
  for (int y = 0; y < decoded.rows; ++y) {
    const uint8_t* row = decoded.ptr<uint8_t>(y);
    out.bgr.insert(out.bgr.end(), row, row + 3 * out.width);
  }
  return out;
}

double largest_value(const std::string& path) {
  const cv::Mat decoded = decode(path, io::read_text(path), cv::IMREAD_UNCHANGED);
  if (decoded.empty()) bad(path, "cannot be decoded: it is not an image, or it is damaged");
  double least = 0, most = 0;
  cv::minMaxIdx(decoded.reshape(1), &least, &most);
  return most;
}

Pixels resize(const Pixels& image, int64_t height, int64_t width) {
  return resized(image, height, width, cv::INTER_LINEAR);
}

Pixels resize_smooth(const Pixels& image, int64_t height, int64_t width) {
  // For enlarging, OpenCV's INTER_AREA is something else than either.
  const bool shrinks = height < image.height || width < image.width;
  return resized(image, height, width, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
}

Pixels crop(const Pixels& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  IUQ_ASSERT(top >= 0 && left >= 0 && top < image.height && left < image.width);
  Pixels out{std::min(height, image.height - top), std::min(width, image.width - left), {}};
  out.bgr.reserve(static_cast<size_t>(3 * out.height * out.width));
  for (int64_t y = 0; y < out.height; ++y) {
    const uint8_t* const row = image.at(top + y, left);
    out.bgr.insert(out.bgr.end(), row, row + 3 * out.width);
  }
  return out;
}

std::pair<int64_t, int64_t> fit_size(int64_t height, int64_t width, int64_t short_side, int64_t long_side) {
  IUQ_ASSERT(height > 0 && width > 0 && short_side > 0 && long_side > 0);
  const double scale = static_cast<double>(short_side) / static_cast<double>(std::min(height, width));
  double h = height < width ? static_cast<double>(short_side) : scale * static_cast<double>(height);
  double w = height < width ? scale * static_cast<double>(width) : static_cast<double>(short_side);
  if (std::max(h, w) > static_cast<double>(long_side)) {
    const double down = static_cast<double>(long_side) / std::max(h, w);
    h *= down;
    w *= down;
  }
  const auto rounded = [](double x) { return std::max<int64_t>(1, static_cast<int64_t>(x + 0.5)); };
  return {rounded(h), rounded(w)};
}

std::vector<uint8_t> encode_png(const Pixels& image) {
  std::vector<uint8_t> out;
  cv::imencode(".png", wrap(image), out, {cv::IMWRITE_PNG_COMPRESSION, 1});
  return out;
}

void write_png(const std::string& path, const Pixels& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  io::write_text(path, std::string(bytes.begin(), bytes.end()));
}

}  // namespace iuq::data
