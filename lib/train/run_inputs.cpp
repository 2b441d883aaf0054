#include "lib/train/run_inputs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/data/annotations.h"
#include "lib/data/image_header.h"
#include "lib/io/atomic_file.h"
#include "lib/io/image_names.h"
#include "lib/io/json_file.h"

namespace iuq::train {
namespace {

using nlohmann::json;

std::string truth_of(const data::Dataset& dataset, const data::Image& image) {
  Digest digest;
  digest.add(image.file_name);
  const int64_t size[2] = {image.height, image.width};
  digest.add(size, sizeof size);
  // Box and area stand for the mask, which would have to be drawn.
  for (const data::Annotation& a : dataset.annotations_of(image)) {
    const int64_t whole[3] = {a.id, a.category, a.crowd ? 1 : 0};
    digest.add(whole, sizeof whole);
    digest.add(&a.area, sizeof a.area);
    digest.add(a.box.data(), sizeof a.box);
  }
  return digest.hex().substr(0, 16);
}

// One of "1 image is", "2 images are".
std::string counted(const std::vector<int64_t>& ids, const char* one, const char* several) {
  return cat(ids.size(), " image", ids.size() == 1 ? " " : "s ", ids.size() == 1 ? one : several, " (", io::some_images(ids), ")");
}

}  // namespace

RunInputs RunInputs::of(const data::Dataset& dataset, const std::vector<int64_t>& images, const std::string& folder,
                        int threads) {
  std::vector<ImageInput> found(images.size());
  parallel_for(images.size(), 64, threads, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const data::Image& image = dataset.images()[static_cast<size_t>(images[i])];
      found[i].truth = truth_of(dataset, image);
      if (!folder.empty()) found[i].file = data::image_fingerprint(io::join(folder, image.file_name));
    }
  });
  RunInputs inputs;
  for (size_t i = 0; i < images.size(); ++i) inputs.images[dataset.images()[static_cast<size_t>(images[i])].id] = found[i];
  for (const data::Category& category : dataset.categories()) inputs.categories.push_back(cat(category.id, " ", category.name));
  return inputs;
}

std::optional<RunInputs> RunInputs::read(const std::string& path) {
  if (!io::exists(path)) return std::nullopt;
  const json value = io::read_json(path);
  RunInputs inputs;
  try {
    value.at("categories").get_to(inputs.categories);
    for (const json& row : value.at("images")) {
      inputs.images[io::image_of_json(row.at(0))] = {row.at(1).get<std::string>(), row.at(2).get<std::string>()};
    }
  } catch (const json::exception&) {
    throw Error(ErrorCode::kBadData, cat("\"", path, "\" is not what iuq-train wrote there; remove it"));
  }
  return inputs;
}

void RunInputs::write(const std::string& path) const {
  json rows = json::array();
  for (const auto& [id, image] : images) rows.push_back({io::image_json(id), image.truth, image.file});
  io::write_json(path, {{"categories", categories}, {"images", rows}}, -1);
}

std::vector<std::string> RunInputs::changes_to(const RunInputs& now) const {
  std::vector<int64_t> gone, added, annotated, replaced;
  for (const auto& [id, image] : images) {
    const auto it = now.images.find(id);
    if (it == now.images.end()) {
      gone.push_back(id);
      continue;
    }
    if (it->second.truth != image.truth) annotated.push_back(id);
    if (it->second.file != image.file) replaced.push_back(id);
  }
  for (const auto& [id, image] : now.images) {
    if (images.count(id) == 0) added.push_back(id);
  }
  std::vector<std::string> changes;
  if (!gone.empty()) changes.push_back(counted(gone, "is gone", "are gone"));
  if (!added.empty()) changes.push_back(counted(added, "is new", "are new"));
  if (!annotated.empty()) changes.push_back(counted(annotated, "has other annotations", "have other annotations"));
  if (!replaced.empty()) changes.push_back(counted(replaced, "has another file", "have other files"));
  return changes;
}

bool differ_in_data_alone(const json& before, const json& now, std::string& why) {
  const auto state = [](const json& provenance) {
    const json& last = provenance.at("entries").back();
    json config = last.value("config", json::object());
    config.erase("left_out");
    json inputs = json::object();
    for (const json& input : last.value("inputs", json::array())) {
      if (input.at("name") != "annotations") inputs[input.at("name").get<std::string>()] = input.at("digest");
    }
    return std::pair(config, inputs);
  };
  const auto [config, inputs] = state(before);
  const auto [config_now, inputs_now] = state(now);
  const json differences = json::diff(config, config_now);
  if (!differences.empty()) {
    std::string place = differences.front().at("path").get<std::string>().substr(1);
    std::replace(place.begin(), place.end(), '/', '.');
    why = cat("the config differs at \"", place, "\"");
    return false;
  }
  for (const auto& [name, digest] : inputs.items()) {
    if (inputs_now.contains(name) && inputs_now[name] == digest) continue;
    why = cat("the ", name, " are other ones");
    return false;
  }
  if (inputs.size() != inputs_now.size()) {
    why = "it had fewer inputs";
    return false;
  }
  return true;
}

}  // namespace iuq::train
