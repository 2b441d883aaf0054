#include "lib/eval/detections.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/eval/fields.h"
#include "lib/eval/segmentation.h"
#include "lib/io/coco_json.h"

namespace iuq::eval {
namespace {

using nlohmann::json;

constexpr uint32_t kUnlisted = UINT32_MAX;
const std::string kTopLevel;  // the section name of a file that is one list

class Loader {
 public:
  Loader(const std::string& path, const GroundTruth& truth, const EvalConfig& config)
      : path_(path), truth_(truth), config_(config) {}

  Detections load() {
    const auto missing = io::stream_json_records(
        path_, {kTopLevel}, [this](const std::string&, int64_t index, json& record) { visit(index, record); });
    if (!missing.empty()) {
      throw Error(ErrorCode::kBadData, cat("\"", path_, "\" is not a list of results [{\"image_id\": ...}, ...]"));
    }
    check_images();
    if (lvis()) keep_best_of_images();
    drop_unlisted();
    if (seen_ == 0) log::warning(cat("\"", path_, "\" is an empty list; this evaluates a model that finds nothing"));
    return std::move(out_);
  }

 private:
  bool lvis() const { return config_.protocol == Protocol::kLvis; }

  void visit(int64_t index, const json& record) {
    const Fields fields(path_, kTopLevel, index, record);
    if (index == 0) boxes_decide_ = has_box(fields);
    ++seen_;
    Detection detection;
    if (!find_image(fields, index, detection)) return;
    const auto category = truth_.category_of.find(fields.integer("category_id"));
    detection.category = category == truth_.category_of.end() ? kUnlisted : category->second;
    detection.score = fields.number("score");
    // LVIS cuts over all categories, so the others still take places there; their shapes are never looked at.
    if (detection.category == kUnlisted && !lvis()) return;
    if (detection.category != kUnlisted) read_shape(fields, index, detection);
    out_.records.push_back(detection);
  }

  static bool has_box(const Fields& fields) {
    const json* box = fields.find("bbox");
    return box && !(box->is_array() && box->empty());
  }

  // The reference refuses the whole file; reading on lets the message say how much of it is foreign.
  bool find_image(const Fields& fields, int64_t index, Detection& detection) {
    const int64_t id = fields.integer("image_id");
    const auto image = truth_.image_of.find(id);
    if (image != truth_.image_of.end()) {
      detection.image = image->second;
      return true;
    }
    if (foreign_++ == 0) first_foreign_ = cat(place_of(path_, kTopLevel, index, "image_id"), " is ", id);
    return false;
  }

  void check_images() const {
    if (foreign_ == 0) return;
    throw Error(ErrorCode::kBadData, cat(first_foreign_, ", which is not in the annotations; ", seen_ - foreign_, " of ",
                                         seen_, " results have an image of this annotation file"));
  }

  void read_shape(const Fields& fields, int64_t index, Detection& detection) {
    if (boxes_decide_) {
      detection.box = fields.box("bbox");
      detection.area = detection.box[2] * detection.box[3];
      if (config_.wants(IouType::kSegm)) read_mask(fields, index, detection);
      return;
    }
    read_mask(fields, index, detection);
    detection.area = mask_area_;
    if (!config_.wants(IouType::kBbox)) return;
    detection.box = fields.find("bbox") ? fields.box("bbox") : detection.box_of_mask();
  }

  void read_mask(const Fields& fields, int64_t index, Detection& detection) {
    Segmentation segmentation;
    if (boxes_decide_ && !fields.find("segmentation")) {
      const auto& [x, y, w, h] = detection.box;
      segmentation.kind = Segmentation::Kind::kPolygons;
      segmentation.polygons = {{x, y, x, y + h, x + w, y + h, x + w, y}};
    } else {
      segmentation = read_segmentation(fields);
    }
    if (!boxes_decide_ && segmentation.kind != Segmentation::Kind::kString) {
      fields.fail("segmentation", "is not a compressed RLE, which results without bbox need");
    }
    const Image& image = truth_.images[detection.image];
    if (segmentation.kind == Segmentation::Kind::kPolygons && (image.height < 0 || image.width < 0)) {
      fields.fail("image_id", cat("is ", image.id, ", an image without valid height and width in the annotations"));
    }
    try {
      store(std::move(segmentation), image, detection);
    } catch (const Error& e) {
      throw Error(e.code(), cat(place_of(path_, kTopLevel, index, "segmentation"), ": ", e.what()));
    }
  }

  void store(Segmentation segmentation, const Image& image, Detection& detection) {
    const bool packed = segmentation.kind == Segmentation::Kind::kString;
    if (packed) detection.counts = out_.text.add(segmentation.text);
    const mask::Rle rle = to_rle(std::move(segmentation), image.height, image.width);
    if (!packed) detection.counts = out_.text.add(mask::to_string(rle));
    detection.height = rle.height;
    detection.width = rle.width;
    mask_area_ = mask::area(rle);
    const mask::Box box = mask::to_box(rle);
    for (size_t i = 0; i < box.size(); ++i) detection.mask_box[i] = static_cast<uint32_t>(box[i]);
  }

  // LVIS: images in order of first appearance; only those with too many results are sorted.
  void keep_best_of_images() {
    const size_t best = static_cast<size_t>(config_.max_dets[0]);
    std::vector<std::vector<size_t>> of_image(truth_.images.size());
    std::vector<uint32_t> order;
    for (size_t i = 0; i < out_.records.size(); ++i) {
      auto& list = of_image[out_.records[i].image];
      if (list.empty()) order.push_back(out_.records[i].image);
      list.push_back(i);
    }
    std::vector<Detection> kept;
    for (const uint32_t image : order) {
      auto& list = of_image[image];
      if (list.size() > best) {
        std::stable_sort(list.begin(), list.end(), [this](size_t a, size_t b) {
          return out_.records[a].score > out_.records[b].score;
        });
        list.resize(best);
      }
      for (const size_t i : list) kept.push_back(out_.records[i]);
    }
    out_.records = std::move(kept);
  }

  void drop_unlisted() {
    std::erase_if(out_.records, [](const Detection& d) { return d.category == kUnlisted; });
    // LVIS leaves out what has no area.
    if (lvis()) std::erase_if(out_.records, [](const Detection& d) { return !(d.area > 0); });
  }

  const std::string& path_;
  const GroundTruth& truth_;
  const EvalConfig& config_;
  Detections out_;
  bool boxes_decide_ = false;
  double mask_area_ = 0;  // of the mask read last
  int64_t seen_ = 0, foreign_ = 0;
  std::string first_foreign_;
};

}  // namespace

std::string_view TextStore::add(std::string_view text) {
  if (text.size() > left_) {
    left_ = std::max(kBlock, text.size());
    blocks_.push_back(std::make_unique<char[]>(left_));
    next_ = blocks_.back().get();
  }
  std::memcpy(next_, text.data(), text.size());
  const std::string_view stored(next_, text.size());
  next_ += text.size();
  left_ -= text.size();
  return stored;
}

Detections load_detections(const std::string& path, const GroundTruth& truth, const EvalConfig& config) {
  return Loader(path, truth, config).load();
}

}  // namespace iuq::eval
