#include "lib/infer/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/data/draw.h"
#include "lib/io/atomic_file.h"
#include "lib/io/coco_json.h"
#include "lib/io/record_rules.h"

namespace iuq::infer {
namespace {

constexpr int64_t kTile = 256;     // pixels
constexpr int64_t kPerRow = 2;     // images, each drawn twice

using ByImage = std::map<int64_t, std::vector<std::pair<double, data::DrawnInstance>>>;

std::string label_of(const std::string& name, double score) {
  char text[64];
  std::snprintf(text, sizeof text, "%.20s %.2f", name.c_str(), score);
  return text;
}

void read_results(const std::string& path, const data::Dataset& dataset, double min_score, ByImage& wanted) {
  io::stream_json_records(path, {""}, [&](const std::string&, int64_t index, nlohmann::json& record) {
    try {
      const nlohmann::json& id = record.at("image_id");
      const auto found = wanted.find(id.is_string() ? io::string_id(id.get<std::string>()) : id.get<int64_t>());
      const double score = record.at("score").get<double>();
      if (found == wanted.end() || score < min_score) return;
      const nlohmann::json& segmentation = record.at("segmentation");
      const int64_t category = dataset.category_index(record.at("category_id").get<int64_t>());
      data::DrawnInstance instance;
      instance.mask = mask::from_string(segmentation.at("counts").get<std::string>(), segmentation.at("size").at(0),
                                        segmentation.at("size").at(1));
      instance.colour = category;
      const bool known = category >= 0;
      instance.label = label_of(known ? dataset.categories()[static_cast<size_t>(category)].name : "?", score);
      found->second.emplace_back(score, std::move(instance));
    } catch (const nlohmann::json::exception& e) {
      throw Error(ErrorCode::kBadData, cat("\"", path, "\", result ", index, ": ", e.what()));
    }
  });
}

}  // namespace

void check_contact_sheet(const std::string& output) {
  if (!io::exists(io::folder_of(output))) {
    throw Error(ErrorCode::kCannotCreate, cat("\"", output, "\": its folder does not exist"));
  }
  if (!io::exists(output)) return;
  std::array<char, 8> begin{};
  std::ifstream(output, std::ios::binary).read(begin.data(), begin.size());
  if (std::memcmp(begin.data(), "\x89PNG\r\n\x1a\n", begin.size()) == 0) return;
  throw Error(ErrorCode::kCannotCreate, cat("\"", output, "\" exists and is no PNG; choose another --contact-sheet"));
}

void write_contact_sheet(const std::string& annotations, const std::string& images, const std::string& predictions,
                         const std::string& output, int64_t count, double min_score) {
  const data::Dataset dataset = data::Dataset::load(
      annotations, {.images = images, .needs_annotations = false, .is_told = true});
  std::vector<const data::Image*> chosen;
  ByImage results;
  // Images with annotations, if there are any at all: a test set has none.
  const bool annotated = !dataset.annotations().empty();
  for (const data::Image& image : dataset.images()) {
    if (static_cast<int64_t>(chosen.size()) == count) break;
    if (image.count == 0 && annotated) continue;
    chosen.push_back(&image);
    results[image.id];
  }
  if (chosen.empty()) {
    log::warning(cat("\"", annotations, "\" has no images; no contact sheet is drawn"));
    return;
  }
  read_results(predictions, dataset, min_score, results);
  std::vector<data::Pixels> pictures;
  std::vector<std::string> titles;
  for (const data::Image* image : chosen) {
    data::Pixels plain;
    try {
      plain = data::read_image(io::join(images, image->file_name), image->height, image->width);
    } catch (const Error& e) {
      log::warning(cat("not on the contact sheet: ", e.what()));
      continue;
    }
    std::vector<data::DrawnInstance> truth, found;
    for (int64_t a = image->first; a < image->first + image->count; ++a) {
      const data::Annotation& annotation = dataset.annotations()[static_cast<size_t>(a)];
      if (annotation.crowd) continue;
      truth.push_back({dataset.mask(a), annotation.category,
                       dataset.categories()[static_cast<size_t>(annotation.category)].name});
    }
    auto& scored = results[image->id];
    std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [score, instance] : scored) found.push_back(std::move(instance));
    pictures.insert(pictures.end(), 2, plain);
    data::draw_instances(pictures[pictures.size() - 2], truth);
    data::draw_instances(pictures.back(), found);
    titles.push_back(cat("image ", image->id_text(), ", ground truth"));
    titles.push_back("predictions");
  }
  if (pictures.empty()) {
    log::warning("none of the first images can be read; no contact sheet is drawn");
    return;
  }
  data::write_png(output, data::contact_sheet(pictures, titles, 2 * kPerRow, kTile));
}

}  // namespace iuq::infer
