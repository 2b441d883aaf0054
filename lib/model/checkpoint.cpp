#include "lib/model/checkpoint.h"

#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/data/annotations.h"
#include "lib/io/provenance.h"
#include "lib/io/safetensors.h"
#include "lib/model/segmenter.h"
#include "lib/model/tensor_bridge.h"

namespace iuq::model {
namespace {

using nlohmann::json;
using namespace nlohmann::literals;

constexpr const char* kFormat = "iuq.model/1";

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

std::vector<std::pair<std::string, at::Tensor>> state_of(const Segmenter& segmenter) {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& item : segmenter.named_parameters()) state.emplace_back(item.key(), item.value());
  for (const auto& item : segmenter.named_buffers()) state.emplace_back(item.key(), item.value());
  std::sort(state.begin(), state.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return state;
}

json metadata_json(const io::TensorFile& file, const std::string& path, const char* key) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) return nullptr;
  json value = json::parse(it->second, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) bad(path, cat("metadata \"", key, "\" is not JSON"));
  return value;
}

// Copies the tensors of `file` into the segmenter once all of them fit; returns the names without a tensor.
std::vector<std::string> fill(Segmenter& segmenter, const io::TensorFile& file, const std::string& path,
                              const std::vector<std::string>& skip) {
  const auto state = state_of(segmenter);
  std::vector<std::pair<at::Tensor, const io::TensorData*>> copies;
  std::vector<bool> filled(state.size(), false);
  for (const auto& [name, data] : file.tensors) {
    const bool skipped = std::any_of(skip.begin(), skip.end(), [&name = name](const auto& prefix) {
      return name.rfind(prefix, 0) == 0;
    });
    if (skipped) continue;
    const auto it = std::lower_bound(state.begin(), state.end(), name, [](const auto& a, const auto& b) { return a.first < b; });
    if (it == state.end() || it->first != name) {
      bad(path, cat("tensor \"", name, "\" has no place in this segmenter; check \"model\" in the config"));
    }
    if (it->second.sizes() != at::IntArrayRef(data.shape)) {
      std::ostringstream wanted;
      wanted << it->second.sizes();
      bad(path, cat("tensor \"", name, "\" is ", io::describe(data), ", this segmenter wants ", wanted.str()));
    }
    copies.emplace_back(it->second, &data);
    filled[static_cast<size_t>(it - state.begin())] = true;
  }
  const torch::NoGradGuard guard;
  for (auto& [target, data] : copies) target.copy_(to_tensor(*data));
  std::vector<std::string> missing;
  for (size_t i = 0; i < state.size(); ++i) {
    if (!filled[i]) missing.push_back(state[i].first);
  }
  return missing;
}

std::vector<data::Category> read_categories(const json& list, const std::string& path) {
  std::vector<data::Category> categories;
  if (!list.is_array()) bad(path, "metadata \"categories\" is not a list");
  for (const json& item : list) {
    const bool ok = item.is_object() && item.contains("id") && item["id"].is_number_integer() && item.contains("name") &&
                    item["name"].is_string();
    if (!ok) bad(path, cat("metadata \"categories\" holds ", item.dump()));
    data::Category category;
    category.id = item["id"];
    category.name = item["name"];
    categories.push_back(category);
  }
  return categories;
}

}  // namespace

void save_checkpoint(const std::string& path, const Segmenter& segmenter, const json& model,
                     const view::InputConfig& input, const std::vector<data::Category>& categories,
                     const json& provenance) {
  io::TensorFile file;
  for (const auto& [name, tensor] : state_of(segmenter)) file.tensors.emplace_back(name, to_tensor_data(tensor));
  json list = json::array();
  for (const data::Category& category : categories) list.push_back({{"id", category.id}, {"name", category.name}});
  file.metadata = {{"format", "pt"},
                   {"iuq.format", kFormat},
                   {"model", model.dump()},
                   {"input", json(input).dump()},
                   {"preprocessing", view::preprocessing_json(input).dump()},
                   {"categories", list.dump()},
                   {"provenance", provenance.dump()}};
  io::write_safetensors(path, file);
}

Checkpoint load_checkpoint(const std::string& path) {
  const io::TensorFile file = io::read_safetensors(path);
  const auto format = file.metadata.find("iuq.format");
  if (format == file.metadata.end() || format->second != kFormat) {
    bad(path, cat("is not a trained iuq model (metadata \"iuq.format\" is not \"", kFormat,
                  "\"); weights without a head go to iuq-train --weights"));
  }
  Checkpoint checkpoint;
  try {
    checkpoint.model = metadata_json(file, path, "model");
    checkpoint.categories = read_categories(metadata_json(file, path, "categories"), path);
    checkpoint.input = metadata_json(file, path, "input").get<view::InputConfig>();
    checkpoint.provenance = metadata_json(file, path, "provenance");
    io::check_provenance(checkpoint.provenance, path);
    checkpoint.segmenter =
        make_segmenter(checkpoint.model, static_cast<int64_t>(checkpoint.categories.size()), /*seed=*/0);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kConfig) throw;
    bad(path, e.what());  // the file's metadata is wrong, not the user's config
  }
  const auto missing = fill(*checkpoint.segmenter, file, path, {});
  if (!missing.empty()) bad(path, cat("tensor \"", missing.front(), "\" is missing (", missing.size(), " in all)"));
  checkpoint.segmenter->eval();
  return checkpoint;
}

std::vector<std::string> load_weights(Segmenter& segmenter, const std::string& path,
                                      const std::vector<std::string>& skip, view::InputConfig& input) {
  const io::TensorFile file = io::read_safetensors(path);
  const json preprocessing = metadata_json(file, path, "preprocessing");
  if (preprocessing.is_null()) {
    bad(path, "does not state its preprocessing; make it with iuq-convert, which writes it");
  }
  view::InputConfig taken = input;
  view::take_preprocessing(taken, preprocessing, path);
  auto missing = fill(segmenter, file, path, skip);
  input = taken;
  return missing;
}

void check_strides(const std::string& path, const json& model) {
  const json stated = metadata_json(io::read_safetensors(path), path, "stride_in_1x1");
  if (!stated.is_boolean()) return;
  const bool wanted = model.value("/backbone/stride_in_1x1"_json_pointer, false);
  if (stated.get<bool>() != wanted) {
    bad(path, cat("these weights need \"model.backbone.stride_in_1x1\": ", stated.dump(), ", the config says ",
                  wanted ? "true" : "false"));
  }
}

json weights_provenance(const std::string& path) {
  return metadata_json(io::read_safetensors(path), path, "provenance");
}

}  // namespace iuq::model
