#include "lib/data/lookalikes_json.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/base/rng.h"
#include "lib/data/shapes.h"

namespace iuq::data {
namespace {

using nlohmann::json;

constexpr double kUnlabelledChance = 0.2;  // of an image that has two instances of a category
constexpr int64_t kNegatives = 2;

json category_ids(const std::vector<int64_t>& categories) {
  json ids = json::array();
  for (const int64_t category : categories) ids.push_back(category + 1);
  return ids;
}

json categories_json(const SynthConfig& config, const std::vector<SceneLabels>& train) {
  json categories = json::array();
  for (int64_t k = 0; k < config.category_count(); ++k) {
    json category = {{"id", k + 1}, {"name", shape_name(k)}};
    if (config.is_lvis()) {
      int64_t images = 0, instances = 0;
      for (const SceneLabels& scene : train) {
        const auto here = std::count_if(scene.instances.begin(), scene.instances.end(),
                                        [k](const SceneInstance& i) { return i.category == k; });
        images += here > 0;
        instances += here;
      }
      category["frequency"] = images <= 10 ? "r" : images <= 100 ? "c" : "f";
      category["image_count"] = images;
      category["instance_count"] = instances;
      category["synset"] = std::string(shape_name(k)) + ".n.01";
      category["synonyms"] = {shape_name(k)};
      category["def"] = std::string("a plane shape: ") + shape_name(k);
    } else {
      category["supercategory"] = "shape";
    }
    categories.push_back(std::move(category));
  }
  return categories;
}

json annotation_json(const SceneInstance& instance, int64_t id, int64_t image_id) {
  const mask::Rle& rle = instance.mask;
  return {{"id", id},
          {"image_id", image_id},
          {"category_id", instance.category + 1},
          {"iscrowd", 0},
          {"area", mask::area(rle)},
          {"bbox", mask::to_box(rle)},
          {"segmentation", {{"size", {rle.height, rle.width}}, {"counts", mask::to_string(rle)}}}};
}

}  // namespace

void make_federated(const SynthConfig& config, const std::string& split, int64_t index, SceneLabels& labels) {
  Rng rng(config.seed, "federated-" + split, static_cast<uint64_t>(index));
  std::vector<int64_t> count(static_cast<size_t>(config.category_count()), 0);
  for (const SceneInstance& instance : labels.instances) ++count[static_cast<size_t>(instance.category)];
  std::vector<int64_t> absent, several;
  for (int64_t k = 0; k < config.category_count(); ++k) {
    if (count[static_cast<size_t>(k)] == 0) absent.push_back(k);
    if (count[static_cast<size_t>(k)] >= 2) several.push_back(k);
  }
  for (const int64_t i : rng.sample(static_cast<int64_t>(absent.size()), kNegatives)) {
    labels.negative.push_back(absent[static_cast<size_t>(i)]);
  }
  std::sort(labels.negative.begin(), labels.negative.end());
  if (several.empty() || rng.uniform() >= kUnlabelledChance) return;
  const int64_t category = several[static_cast<size_t>(rng.below(static_cast<int64_t>(several.size())))];
  labels.not_exhaustive = {category};
  const auto first = std::find_if(labels.instances.begin(), labels.instances.end(),
                                  [&](const SceneInstance& i) { return i.category == category; });
  labels.instances.erase(first);
}

int64_t scene_image_id(const std::string& split, int64_t index) { return (split == "train" ? 1 : 1000001) + index; }

std::string scene_file_name(const std::string& split, int64_t index) {
  char number[32];
  std::snprintf(number, sizeof number, "%012lld", static_cast<long long>(scene_image_id(split, index)));
  return split + "/" + number + ".png";
}

json lookalikes_json(const SynthConfig& config, const std::string& split, const std::vector<SceneLabels>& scenes,
                     const std::vector<SceneLabels>& train) {
  json images = json::array(), annotations = json::array();
  for (size_t i = 0; i < scenes.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const int64_t id = scene_image_id(split, index);
    json image = {{"id", id},
                  {"file_name", scene_file_name(split, index)},
                  {"height", config.height},
                  {"width", config.width}};
    if (config.is_lvis()) {
      image["neg_category_ids"] = category_ids(scenes[i].negative);
      image["not_exhaustive_category_ids"] = category_ids(scenes[i].not_exhaustive);
    }
    images.push_back(std::move(image));
    for (const SceneInstance& instance : scenes[i].instances) {
      annotations.push_back(annotation_json(instance, static_cast<int64_t>(annotations.size()) + 1, id));
    }
  }
  return {{"info", {{"description", "lookalikes, made by iuq-synth"}, {"split", split}}},
          {"images", std::move(images)},
          {"annotations", std::move(annotations)},
          {"categories", categories_json(config, train)}};
}

}  // namespace iuq::data
