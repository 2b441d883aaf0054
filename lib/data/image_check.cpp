#include "lib/data/image_check.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/data/annotations.h"
#include "lib/data/image.h"
#include "lib/data/image_header.h"
#include "lib/io/atomic_file.h"
#include "lib/io/image_names.h"

namespace iuq::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShown = 5;
constexpr int kLookers = 8;  // at least: they wait for the disk, not for each other

struct Finding {
  enum Weight { kFault, kWarning, kRemark };
  ImageFinding finding;
  Weight weight = kFault;
};

class Looker {
 public:
  Looker(const Dataset& dataset, const std::string& folder, ImageLook look) : dataset_(dataset), folder_(folder), look_(look) {}

  std::optional<Finding> operator()(int64_t index) const {
    const Image& image = dataset_.images()[static_cast<size_t>(index)];
    const std::string path = io::join(folder_, image.file_name);
    ImageState state = ImageState::kNoImage;  // if the next step fails
    try {
      const ImageHeader header = image_header(path);
      if (!image.has_size()) throw Error(ErrorCode::kBadData, cat("image \"", path, "\" does not tell its size, nor do the annotations"));
      // A turn that follows the pixels of a PNG is found by reading it, so a size that seems wrong is judged then.
      const auto [height, width] = header.turned();
      const bool fits = height == image.height && width == image.width;
      const bool odd = header.kind == FileKind::kJpeg && !header.complete;
      const bool vouched = header.kind == FileKind::kJpeg || look_ == ImageLook::kHeader;
      if (!header.complete) state = ImageState::kTruncated;
      if (!fits) state = ImageState::kOtherSize;
      if (!fits || !header.complete || !vouched) read_image(path, image.height, image.width);
      if (odd) return say(index, ImageState::kNoEnd, cat("image \"", path, "\" lacks its end marker"), Finding::kWarning);
      return look_ == ImageLook::kAll ? remark(index, path, header) : std::nullopt;
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kNoInput) state = io::exists(path) ? ImageState::kNoAccess : ImageState::kMissing;
      return Finding{{index, state, e.code(), e.what()}};
    }
  }

 private:
  static Finding say(int64_t index, ImageState state, const std::string& what, Finding::Weight weight) {
    return {{index, state, ErrorCode::kBadData, what}, weight};
  }

  static std::optional<Finding> remark(int64_t index, const std::string& path, const ImageHeader& header) {
    constexpr double kTwelveBits = 4096;
    if (header.depth == 16 && largest_value(path) < kTwelveBits) {
      return say(index, ImageState::kDark, cat("image \"", path, "\" is nearly black: it has 16 bits, and uses 12 of them at most"),
                 Finding::kRemark);
    }
    if (header.orientation == 1) return std::nullopt;
    return say(index, ImageState::kTurned, cat("image \"", path, "\" is turned by its EXIF orientation ", header.orientation),
               Finding::kRemark);
  }

  const Dataset& dataset_;
  const std::string& folder_;
  const ImageLook look_;
};

std::string file_digest(const std::string& path) {
  try {
    return digest_of_file(path);
  } catch (const Error&) {
    return "missing";
  }
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// A file that the missing `name` may mean: under fewer of its folders, with another case, or with another ending; "" where
// there is none. For people to look at: two folders may have files of one name.
std::string near_file(const std::string& folder, std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  constexpr std::array kEndings = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"};  // labelme's .json lies beside them
  const size_t up = name.rfind("../");
  std::error_code ignored;
  for (size_t begin = up == std::string::npos ? 0 : up + 3; begin < name.size();) {
    const fs::path path = io::join(folder, name.substr(begin));
    if (fs::is_regular_file(path, ignored)) return path.string();
    fs::path other;
    for (const auto& entry : fs::directory_iterator(path.parent_path(), ignored)) {
      if (lower(entry.path().filename().string()) == lower(path.filename().string())) return entry.path().string();
      const bool is_image = std::find(kEndings.begin(), kEndings.end(), lower(entry.path().extension().string())) != kEndings.end();
      if (is_image && lower(entry.path().stem().string()) == lower(path.stem().string())) other = entry.path();
    }
    if (!other.empty()) return other.string();
    const size_t slash = name.find('/', begin);
    begin = slash == std::string::npos ? name.size() : slash + 1;
  }
  return "";
}

// "(image 33)" behind each of the first few.
std::string some(const Dataset& dataset, const std::vector<ImageFinding>& findings) {
  std::string text;
  for (size_t i = 0; i < std::min(findings.size(), kShown); ++i) {
    const Image& image = dataset.images()[static_cast<size_t>(findings[i].image)];
    text += cat(i == 0 ? "" : "; ", findings[i].what, " (image ", image.id_text(), ")");
  }
  return findings.size() > kShown ? text + "; ..." : text;
}

}  // namespace

ImageCheck check_images(const Dataset& dataset, const std::string& folder, const std::vector<int64_t>& indices,
                        ImageLook look, int threads) {
  std::vector<std::optional<Finding>> found(indices.size());
  const Looker look_at(dataset, folder, look);
  parallel_for(indices.size(), 64, std::max(threads, kLookers), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) found[i] = look_at(indices[i]);
  });
  ImageCheck check;
  check.looked_at = std::ssize(indices);
  const std::array lists = {&check.faults, &check.warnings, &check.remarks};  // by Finding::weight
  for (const auto& one : found) {
    if (one) lists[one->weight]->push_back(one->finding);
  }
  return check;
}

std::string advice_on_missing(const Dataset& dataset, const std::string& folder, const std::vector<ImageFinding>& faults) {
  const auto missing = std::find_if(faults.begin(), faults.end(), [](const auto& f) { return f.code == ErrorCode::kNoInput; });
  if (missing == faults.end()) return "";
  const std::string& name = dataset.images()[static_cast<size_t>(missing->image)].file_name;
  if (io::exists(io::join(folder, name))) return "";  // it is there and cannot be opened
  const std::string there = near_file(folder, name);
  if (there.empty()) return "";
  const std::string path = fs::path(there).lexically_relative(folder).string();
  return cat("; but there is \"", there, "\": file_name must be its path below --images, letter by letter: \"", path, "\", not \"",
             name, "\"");
}

nlohmann::json UsableImages::left_out() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Left& one : left) list.push_back({{"id", io::image_json(one.id)}, {"file", one.file}});
  return list;
}

std::vector<int64_t> all_images(const Dataset& dataset) {
  std::vector<int64_t> all(dataset.images().size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

UsableImages usable_images(const Dataset& dataset, const std::string& folder, const std::vector<int64_t>& wanted,
                           int64_t max_errors, int threads) {
  std::vector<int64_t> sorted = wanted;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  const ImageCheck check = check_images(dataset, folder, sorted, max_errors > 0 ? ImageLook::kPixels : ImageLook::kHeader, threads);
  log::verbose(cat("looked at ", check.looked_at, " image files in \"", folder, "\""));
  const auto count = std::ssize(check.faults);
  if (count > max_errors) {
    throw Error(check.faults.front().code,
                cat(count, " of ", check.looked_at, " images cannot be used: ", some(dataset, check.faults),
                    advice_on_missing(dataset, folder, check.faults), "; mend them, or leave them out with --max-errors ", count));
  }
  if (!check.warnings.empty()) {
    log::warning(cat(check.warnings.size(), " of ", check.looked_at, " images are read although they are not whole files, as "
                     "no pixel is missing: ", some(dataset, check.warnings)));
  }
  if (count > 0) {
    log::warning(cat("left out ", count, " of ", check.looked_at, " images: ", some(dataset, check.faults)));
  }
  UsableImages usable;
  std::vector<int64_t> gone;
  for (const ImageFinding& fault : check.faults) {
    const Image& image = dataset.images()[static_cast<size_t>(fault.image)];
    gone.push_back(fault.image);
    usable.left.push_back({fault.image, image.id, file_digest(io::join(folder, image.file_name))});
  }
  std::sort(usable.left.begin(), usable.left.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const int64_t index : wanted) {
    if (!std::binary_search(gone.begin(), gone.end(), index)) usable.images.push_back(index);
  }
  return usable;
}

}  // namespace iuq::data
