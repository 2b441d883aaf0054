#include "lib/model/checkpoint.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/nearest.h"
#include "lib/data/annotations.h"
#include "lib/io/provenance.h"
#include "lib/io/safetensors.h"
#include "lib/model/segmenter.h"
#include "lib/model/tensor_bridge.h"
#include "lib/nn/windows.h"

namespace iuq::model {
namespace {

using nlohmann::json;
using namespace nlohmann::literals;

constexpr const char* kFormat = "iuq.model/1";

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

using State = std::vector<std::pair<std::string, at::Tensor>>;

State state_of(const Segmenter& segmenter) {
  State state;
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

State::const_iterator find(const State& state, const std::string& name) {
  const auto it = std::lower_bound(state.begin(), state.end(), name, [](const auto& a, const auto& b) { return a.first < b; });
  return it != state.end() && it->first == name ? it : state.end();
}

// Backbones lie under "backbone.bottom_up." below an FPN and under "backbone." without one: weights of either serve both.
State::const_iterator target_of(const State& state, const std::string& name, const std::string& backbone_prefix) {
  auto it = find(state, name);
  for (const std::string other : {"backbone.bottom_up.", "backbone."}) {
    if (it == state.end() && name.starts_with(other)) it = find(state, backbone_prefix + name.substr(other.size()));
  }
  return it;
}

// A Swin Transformer's table of relative positions, made for another window: to be resized.
bool is_other_window(const std::string& name, const io::TensorData& data, const at::Tensor& wanted) {
  const auto is_table = [](int64_t rows) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(rows))));
    return side * side == rows && side % 2 == 1;
  };
  return name.ends_with(".relative_position_bias_table") && data.shape.size() == 2 && wanted.dim() == 2 &&
         data.shape[1] == wanted.size(1) && is_table(data.shape[0]) && is_table(wanted.size(0));
}

void copy(const at::Tensor& target, const io::TensorData& data) {
  at::Tensor source = to_tensor(data);
  if (source.sizes() != target.sizes()) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(target.size(0)))));
    source = nn::resize_positions(source.to(at::kFloat), side / 2 + 1);
  }
  target.copy_(source);
}

bool starts_with_any(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return name.starts_with(prefix); });
}

// The start of `name` that has as many dots as `like`.
std::string start_like(const std::string& name, const std::string& like) {
  const auto dots = std::count(like.begin(), like.end(), '.');
  size_t at = name.find('.');
  for (int64_t n = 0; n < dots && at != std::string::npos; ++n) at = name.find('.', at + 1);
  return name.substr(0, at);
}

// A prefix that fits nothing is a slip, and what it was to skip would be filled.
void check_skipped(const State& state, const io::TensorFile& file, const std::string& path,
                   const std::vector<std::string>& skip) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  for (const auto& [name, data] : file.tensors) names.push_back(name);
  for (const std::string& prefix : skip) {
    const auto fits = [&](const std::string& name) { return name.starts_with(prefix); };
    if (std::any_of(names.begin(), names.end(), fits)) continue;
    std::set<std::string> starts;
    for (const std::string& name : names) starts.insert(start_like(name, prefix));
    const std::vector<std::string> near = nearest(prefix, {starts.begin(), starts.end()}, 3);
    throw Error(ErrorCode::kConfig, cat("config: \"train.skip_weights\" has \"", prefix, "\", but no tensor of \"", path,
                                        "\" or of this segmenter begins with it; near: ", listed(near)));
  }
}

// Whether `name` is a layer over classes, and `shape` that of another number of them.
class ClassLayers {
 public:
  ClassLayers(const json* model, const State& state) : model_(model), state_(state) {}

  bool accept(const std::string& name, const std::vector<int64_t>& shape, const at::Tensor& wanted) {
    if (!model_ || static_cast<int64_t>(shape.size()) != wanted.dim()) return false;
    if (!probed_) probe();
    const auto it = axes_.find(name);
    if (it == axes_.end()) return false;
    for (int64_t d = 0; d < wanted.dim(); ++d) {
      if (d != it->second && shape[static_cast<size_t>(d)] != wanted.size(d)) return false;
    }
    return true;
  }

 private:
  // The axes whose length follows the number of classes: those in which models of 1 and 2 classes differ.
  void probe() {
    probed_ = true;
    const State one = state_of(*make_segmenter(*model_, 1, /*seed=*/0));
    const State two = state_of(*make_segmenter(*model_, 2, /*seed=*/0));
    IUQ_ASSERT(one.size() == two.size() && one.size() == state_.size());
    for (size_t i = 0; i < one.size(); ++i) {
      for (int64_t d = 0; d < one[i].second.dim(); ++d) {
        if (one[i].second.size(d) != two[i].second.size(d)) axes_[one[i].first] = d;
      }
    }
  }

  const json* model_;
  const State& state_;
  bool probed_ = false;
  std::map<std::string, int64_t> axes_;
};

// Copies the tensors of `file` into the segmenter once all of them fit; returns the names without a tensor.
std::vector<std::string> fill(Segmenter& segmenter, const io::TensorFile& file, const std::string& path,
                              const LoadOptions& options) {
  const State state = state_of(segmenter);
  std::vector<std::pair<at::Tensor, const io::TensorData*>> copies;
  std::vector<bool> filled(state.size(), false);
  size_t resized = 0;
  ClassLayers class_layers(options.new_classes, state);
  std::vector<std::string> anew;
  check_skipped(state, file, path, options.skip);
  for (const auto& [name, data] : file.tensors) {
    if (starts_with_any(name, options.skip)) continue;
    const auto it = target_of(state, name, segmenter.backbone_prefix());
    if (it == state.end()) {
      bad(path, cat("tensor \"", name, "\" has no place in this segmenter; check \"model\" in the config, and pass "
                    "weights of other projects through iuq-convert first"));
    }
    if (starts_with_any(it->first, options.skip)) continue;
    const bool fits = it->second.sizes() == at::IntArrayRef(data.shape);
    if (!fits && !is_other_window(name, data, it->second)) {
      std::ostringstream wanted;
      wanted << it->second.sizes();
      if (class_layers.accept(it->first, data.shape, it->second)) {
        anew.push_back(cat("\"", it->first, "\" (", io::describe(data), " there, ", wanted.str(), " here)"));
        continue;
      }
      bad(path, cat("tensor \"", name, "\" is ", io::describe(data), ", this segmenter wants ", wanted.str()));
    }
    resized += fits ? 0 : 1;
    copies.emplace_back(it->second, &data);
    filled[static_cast<size_t>(it - state.begin())] = true;
  }
  if (!anew.empty()) {
    log::warning(cat("\"", path, "\" is of another number of classes; these class layers start anew: ", listed(anew)));
  }
  const torch::NoGradGuard guard;
  for (auto& [target, data] : copies) copy(target, *data);
  if (resized > 0) log::info(cat("weights: ", resized, " tables of relative positions resized to the config's window"));
  std::vector<std::string> missing;
  for (size_t i = 0; i < state.size(); ++i) {
    if (!filled[i]) missing.push_back(state[i].first);
  }
  return missing;
}

// A backbone comes whole or not at all: one of fewer blocks would leave the others at random, and cost AP without a word.
void check_backbone(const Segmenter& segmenter, const io::TensorFile& file, const std::string& path,
                    const std::vector<std::string>& skip) {
  const State state = state_of(segmenter);
  const std::string prefix = segmenter.backbone_prefix();
  std::set<std::string> filled;
  for (const auto& [name, data] : file.tensors) {
    const auto it = target_of(state, name, prefix);
    if (it != state.end() && it->first.starts_with(prefix)) filled.insert(it->first);
  }
  if (filled.empty()) return;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with(prefix) || filled.count(name) > 0 || starts_with_any(name, skip)) continue;
    bad(path, cat("holds a backbone, but not its \"", name, "\"; check \"model.backbone\" in the config"));
  }
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

bool states_format(const io::TensorFile& file) {
  const auto format = file.metadata.find("iuq.format");
  return format != file.metadata.end() && format->second == kFormat;
}

void require_all(const std::string& path, const std::vector<std::string>& missing) {
  if (!missing.empty()) bad(path, cat("tensor \"", missing.front(), "\" is missing (", missing.size(), " in all)"));
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

bool is_checkpoint(const std::string& path) { return states_format(io::read_safetensors(path)); }

namespace {

// A model that diverged would find nothing, and say nothing.
void finish(Checkpoint& checkpoint, const io::TensorFile& file, const std::string& path) {
  for (const auto& item : checkpoint.segmenter->named_parameters()) {
    if (item.value().isfinite().all().item<bool>()) continue;
    bad(path, cat("tensor \"", item.key(), "\" has values that are not finite"));
  }
  checkpoint.content = io::content_digest(file);
  checkpoint.segmenter->eval();
}

}  // namespace

Checkpoint assemble_checkpoint(const std::string& path, const json& model, const view::InputConfig& input,
                               const std::vector<data::Category>& categories) {
  Checkpoint checkpoint{nullptr, effective_model_config(model), input, categories, weights_provenance(path), {}};
  checkpoint.segmenter = make_segmenter(checkpoint.model, static_cast<int64_t>(categories.size()), /*seed=*/0);
  check_strides(path, checkpoint.model);
  require_all(path, load_weights(*checkpoint.segmenter, path, LoadOptions(), checkpoint.input));
  io::check_provenance(checkpoint.provenance, path);
  finish(checkpoint, io::read_safetensors(path), path);
  return checkpoint;
}

Checkpoint load_checkpoint(const std::string& path) {
  const io::TensorFile file = io::read_safetensors(path);
  if (!states_format(file)) {
    bad(path, cat("is not a trained iuq model (metadata \"iuq.format\" is not \"", kFormat,
                  "\"); of iuq-convert's output a backbone goes to iuq-train --weights, and a whole model needs -c with section "
                  "\"model\" to say what it is"));
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
  require_all(path, fill(*checkpoint.segmenter, file, path, LoadOptions()));
  finish(checkpoint, file, path);
  return checkpoint;
}

std::vector<std::string> load_weights(Segmenter& segmenter, const std::string& path, const LoadOptions& options,
                                      view::InputConfig& input) {
  const io::TensorFile file = io::read_safetensors(path);
  const json preprocessing = metadata_json(file, path, "preprocessing");
  if (preprocessing.is_null()) {
    bad(path, "does not state its preprocessing; make it with iuq-convert, which writes it");
  }
  view::InputConfig taken = input;
  view::take_preprocessing(taken, preprocessing, path);
  check_backbone(segmenter, file, path, options.skip);
  auto missing = fill(segmenter, file, path, options);
  input = taken;
  return missing;
}

void check_strides(const std::string& path, const json& model) {
  const json stated = metadata_json(io::read_safetensors(path), path, "stride_in_1x1");
  const json wanted = model.value("/backbone/stride_in_1x1"_json_pointer, json());  // other backbones have no such field
  if (!stated.is_boolean() || wanted.is_null() || stated == wanted) return;
  bad(path, cat("these weights need \"model.backbone.stride_in_1x1\": ", stated.dump(), ", the config says ", wanted.dump()));
}

json weights_provenance(const std::string& path) {
  return metadata_json(io::read_safetensors(path), path, "provenance");
}

}  // namespace iuq::model
