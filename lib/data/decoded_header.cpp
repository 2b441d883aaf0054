#include <opencv2/imgcodecs.hpp>

#include "lib/base/error.h"
#include "lib/data/image_header.h"

namespace iuq::data {
namespace {

ImageHeader decoded_header(const std::string& path) {
  const auto fail = [&] { throw Error(ErrorCode::kBadData, cat("image \"", path, "\" is not an image that can be read")); };
  ImageHeader header;
  try {
    const cv::Mat decoded = cv::imread(path, cv::IMREAD_UNCHANGED);
    if (decoded.empty()) fail();
    header.height = decoded.rows;
    header.width = decoded.cols;
    header.channels = decoded.channels();
    header.depth = static_cast<int64_t>(8 * decoded.elemSize1());
  } catch (const cv::Exception&) {
    fail();
  }
  return header;
}

}  // namespace

ImageHeader image_header(const std::string& path) {
  const ImageHeader header = stated_header(path);
  return header.kind == FileKind::kOther ? decoded_header(path) : header;
}

}  // namespace iuq::data
