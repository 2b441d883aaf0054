#include "lib/train/state.h"

#include <torch/types.h>

#include <algorithm>
#include <map>

#include "lib/base/error.h"
#include "lib/io/json_file.h"
#include "lib/io/safetensors.h"
#include "lib/model/tensor_bridge.h"

namespace iuq::train {
namespace {

using nlohmann::json;
constexpr const char* kDigest = "digest";

std::string tensors_path(const std::string& folder) { return folder + "/state.safetensors"; }
std::string values_path(const std::string& folder) { return folder + "/state.json"; }

void append(NamedTensors& all, const std::string& part, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) all.emplace_back(part + "/" + name, tensor);
}

constexpr const char* kDiverged = "the training has diverged; lower train.lr or lengthen train.warmup";
constexpr const char* kDamaged = "the file is damaged, or the training that wrote it had diverged";

void require_finite(const NamedTensors& tensors, const char* why) {
  const std::string name = first_not_finite(tensors);
  if (name.empty()) return;
  throw Error(ErrorCode::kBadData, cat("the tensor \"", name, "\" has values that are not finite: ", why));
}

// What a checkpoint holds, by part.
std::map<std::string, SavedPart> read_parts(const std::string& folder) {
  std::map<std::string, SavedPart> parts;
  const json values = io::read_json(values_path(folder));
  if (!values.is_object()) throw Error(ErrorCode::kBadData, "\"state.json\" is not a JSON object");
  for (const auto& [name, value] : values.items()) {
    if (name != kDigest) parts[name].value = value;
  }
  for (const auto& [name, data] : io::read_safetensors(tensors_path(folder)).tensors) {
    const size_t slash = std::min(name.find('/'), name.size());
    const std::string own = name.substr(std::min(slash + 1, name.size()));
    parts[name.substr(0, slash)].tensors.emplace_back(own, model::to_tensor(data));
  }
  return parts;
}

}  // namespace

std::string first_not_finite(const NamedTensors& tensors) {
  const torch::NoGradGuard guard;
  // Smallest and largest value of each tensor: NaN if any value is.
  const auto bounds = [](const at::Tensor& tensor) {
    const auto [least, most] = at::aminmax(tensor.element_size() < 4 ? tensor.to(at::kFloat) : tensor);
    return at::stack({least, most}).to(at::kDouble);  // [2]
  };
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : tensors) {
    const bool counts = tensor.defined() && tensor.is_floating_point() && tensor.numel() > 0;
    if (!counts) continue;
    all.push_back(bounds(tensor));
    if (all.back().device() != all.front().device()) all.back() = all.back().to(all.front().device());
  }
  if (all.empty() || at::isfinite(at::cat(all)).all().item<bool>()) return "";
  for (const auto& [name, tensor] : tensors) {
    const bool counts = tensor.defined() && tensor.is_floating_point() && tensor.numel() > 0;
    if (counts && !at::isfinite(bounds(tensor)).all().item<bool>()) return name;
  }
  return "";
}

Error damaged_checkpoint(const Error& why, const std::string& folder) {
  return Error(ErrorCode::kBadData, why.what())
      .with(cat("in checkpoint \"", folder, "\"; delete this folder so that --resume takes the one before it, or start again with "
                "--force"));
}

void State::add(StatePart part) {
  IUQ_ASSERT(!part.name.empty() && part.name.find('/') == std::string::npos && part.name != kDigest);
  for (const StatePart& other : parts_) IUQ_ASSERT(other.name != part.name);
  parts_.push_back(std::move(part));
}

void State::add(StateFile file) {
  IUQ_ASSERT(!file.name.empty() && file.name != "state");
  for (const StateFile& other : files_) IUQ_ASSERT(other.name != file.name);
  files_.push_back(std::move(file));
}

NamedTensors State::all_tensors() const {
  NamedTensors tensors;
  for (const StateFile& file : files_) append(tensors, file.name, file.tensors());
  for (const StatePart& part : parts_) append(tensors, part.name, part.save().tensors);
  return tensors;
}

void State::check_finite() const { require_finite(all_tensors(), kDiverged); }

void State::save(const std::string& folder, const std::string& digest) const {
  NamedTensors tensors;
  json values = {{kDigest, digest}};
  for (const StatePart& part : parts_) {
    const SavedPart saved = part.save();
    IUQ_ASSERT(part.may_be_empty || !saved.empty());
    append(tensors, part.name, saved.tensors);
    if (!saved.value.is_null()) values[part.name] = saved.value;
  }
  NamedTensors checked = tensors;
  for (const StateFile& file : files_) append(checked, file.name, file.tensors());
  require_finite(checked, kDiverged);

  for (const StateFile& file : files_) file.write(folder + "/" + file.name + ".safetensors");
  io::TensorFile out;
  for (const auto& [name, tensor] : tensors) out.tensors.emplace_back(name, model::to_tensor_data(tensor));
  io::write_safetensors(tensors_path(folder), out);
  io::write_json(values_path(folder), values);
}

void State::load_parts(const std::string& folder) {
  for (const StateFile& file : files_) file.read(folder + "/" + file.name + ".safetensors");
  std::map<std::string, SavedPart> saved = read_parts(folder);
  for (const StatePart& part : parts_) {
    const auto it = saved.find(part.name);
    if (it == saved.end()) {
      if (part.may_be_empty) continue;
      throw Error(ErrorCode::kBadData, cat("the part \"", part.name, "\" is missing"));
    }
    part.load(it->second);
    saved.erase(it);
  }
  if (!saved.empty()) {
    throw Error(ErrorCode::kBadData, cat("this run has no part \"", saved.begin()->first, "\"; another version wrote it"));
  }
  require_finite(all_tensors(), kDamaged);
}

void State::load(const std::string& folder) {
  try {
    load_parts(folder);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kBadData && e.code() != ErrorCode::kNoInput) throw;
    throw damaged_checkpoint(e, folder);  // a file that is missing is damage as well
  }
}

}  // namespace iuq::train
