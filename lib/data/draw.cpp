#include "lib/data/draw.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "lib/base/error.h"

namespace iuq::data {
namespace {

// Twelve colours far apart, as blue, green, red.
const cv::Scalar kColours[] = {{75, 25, 230},  {75, 180, 60},   {25, 225, 255}, {200, 130, 0},  {48, 130, 245}, {180, 30, 145},
                               {240, 240, 70}, {230, 50, 240},  {60, 245, 210}, {190, 190, 250}, {128, 128, 0},  {255, 190, 220}};

cv::Scalar colour_of(int64_t number) {
  constexpr int64_t n = static_cast<int64_t>(std::size(kColours));
  return kColours[((number % n) + n) % n];
}

cv::Mat view_of(Pixels& image) {
  return cv::Mat(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3, image.bgr.data());
}

void put_label(cv::Mat& canvas, const std::string& text, cv::Point at, double scale) {
  at.x = std::clamp(at.x, 0, std::max(0, canvas.cols - 8 * static_cast<int>(text.size())));
  at.y = std::clamp(at.y, 10, canvas.rows - 2);
  cv::putText(canvas, text, at, cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar(0, 0, 0), 3, cv::LINE_AA);
  cv::putText(canvas, text, at, cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar(255, 255, 255), 1, cv::LINE_AA);
}

}  // namespace

void draw_instances(Pixels& image, const std::vector<DrawnInstance>& instances) {
  cv::Mat canvas = view_of(image);
  std::vector<uint8_t> bits(static_cast<size_t>(image.height * image.width));
  for (const DrawnInstance& instance : instances) {
    if (instance.mask.height != image.height || instance.mask.width != image.width) {
      throw Error(ErrorCode::kBadData, cat("a mask of ", instance.mask.height, "x", instance.mask.width,
                                           " cannot be drawn on an image of ", image.height, "x", image.width));
    }
    mask::decode(instance.mask, bits.data());
    const cv::Mat mask(canvas.rows, canvas.cols, CV_8U, bits.data());
    const cv::Mat paint(canvas.size(), CV_8UC3, colour_of(instance.colour));
    cv::Mat blended;
    cv::addWeighted(canvas, 0.5, paint, 0.5, 0, blended);
    blended.copyTo(canvas, mask);
    std::vector<std::vector<cv::Point>> outlines;
    cv::findContours(mask.clone(), outlines, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
    cv::drawContours(canvas, outlines, -1, colour_of(instance.colour), 1);
  }
  for (const DrawnInstance& instance : instances) {
    const mask::Box box = mask::to_box(instance.mask);
    if (!instance.label.empty()) put_label(canvas, instance.label, {static_cast<int>(box[0]), static_cast<int>(box[1]) + 10}, 0.35);
  }
}

Pixels contact_sheet(const std::vector<Pixels>& images, const std::vector<std::string>& titles, int64_t columns,
                     int64_t tile) {
  IUQ_ASSERT(columns >= 1 && tile >= 16 && images.size() == titles.size());
  constexpr int64_t kTitle = 18, kGap = 4;
  const auto rows = (static_cast<int64_t>(images.size()) + columns - 1) / columns;
  Pixels sheet;
  sheet.height = rows * (tile + kTitle + kGap);
  sheet.width = columns * (tile + kGap);
  sheet.bgr.assign(static_cast<size_t>(3 * sheet.height * sheet.width), 32);
  cv::Mat canvas = view_of(sheet);
  for (size_t i = 0; i < images.size(); ++i) {
    const double scale = static_cast<double>(tile) / static_cast<double>(std::max(images[i].height, images[i].width));
    Pixels copy = resize(images[i], std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(images[i].height) * scale)),
                         std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(images[i].width) * scale)));
    const auto tile_index = static_cast<int64_t>(i);
    const cv::Point corner(static_cast<int>(tile_index % columns * (tile + kGap)),
                           static_cast<int>(tile_index / columns * (tile + kTitle + kGap)));
    cv::putText(canvas, titles[i], corner + cv::Point(2, 13), cv::FONT_HERSHEY_SIMPLEX, 0.4, cv::Scalar(230, 230, 230), 1,
                cv::LINE_AA);
    view_of(copy).copyTo(canvas(cv::Rect(corner.x, corner.y + static_cast<int>(kTitle), static_cast<int>(copy.width),
                                         static_cast<int>(copy.height))));
  }
  return sheet;
}

}  // namespace iuq::data
